package measure

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Latencies are durations of operations, in no order.
type Latencies []time.Duration

// Quantile returns the latency that a share q (0 to 1) of the operations does
// not exceed; 0 if there are none.
func (l Latencies) Quantile(q float64) time.Duration { return quantile(l, q) }

// Median returns the middle of the values, the higher one of two; 0 if there
// are none.
func Median(values []float64) float64 { return quantile(values, 0.5) }

func quantile[T cmp.Ordered](values []T, q float64) T {
	if len(values) == 0 {
		var zero T
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	if q == 0.5 {
		rank = len(sorted)/2 + 1
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Spread returns how far the values lie apart: (largest - smallest) / median.
func Spread(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return (slices.Max(values) - slices.Min(values)) / Median(values)
}
