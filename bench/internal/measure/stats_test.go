package measure

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var hundred Latencies
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)) // 100 … 1
	}
	tests := []struct {
		values Latencies
		q      float64
		want   time.Duration
	}{
		{hundred, 0, 1}, {hundred, 0.01, 1}, {hundred, 0.99, 99}, {hundred, 0.991, 100}, {hundred, 1, 100},
		{Latencies{3, 1, 2}, 0.5, 2}, {Latencies{4, 1, 2, 3}, 0.5, 3}, {Latencies{7}, 0.99, 7}, {nil, 0.5, 0},
	}
	for _, tt := range tests {
		if got := tt.values.Quantile(tt.q); got != tt.want {
			t.Errorf("quantile %v of %d values = %d, want %d", tt.q, len(tt.values), got, tt.want)
		}
	}
}

func TestSpread(t *testing.T) {
	if got := Spread([]float64{8, 12, 10}); got != 0.4 {
		t.Errorf("Spread = %v, want 0.4", got)
	}
	if got := Spread(nil); got != 0 {
		t.Errorf("Spread of nothing = %v, want 0", got)
	}
}

func TestLoadCountsEveryCaller(t *testing.T) {
	var calls [3]atomic.Int64
	l := Load{Callers: len(calls), Duration: 20 * time.Millisecond, Sample: 2}
	r, err := l.Run(func(caller int) error { calls[caller].Add(1); return nil })
	if err != nil {
		t.Fatal(err)
	}
	var sum int64
	for i := range calls {
		if calls[i].Load() == 0 {
			t.Errorf("caller %d made no call", i)
		}
		sum += calls[i].Load()
	}
	if r.Operations == 0 || r.Operations > sum {
		t.Errorf("%d operations counted of %d calls", r.Operations, sum)
	}
	if half := sum/2 + int64(len(calls)); len(r.Latencies) == 0 || int64(len(r.Latencies)) > half {
		t.Errorf("%d latencies of %d calls, want at most every second", len(r.Latencies), sum)
	}
	if r.CPU <= 0 || r.CPUPerOperation() > r.CPU {
		t.Errorf("the load used %v of processor time, %v an operation", r.CPU, r.CPUPerOperation())
	}
	if r.Elapsed < l.Duration || r.Rate() <= 0 {
		t.Errorf("elapsed %v, rate %v", r.Elapsed, r.Rate())
	}
}

func TestLoadEndsAtTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	l := Load{Callers: 2, Warmup: time.Hour, Duration: time.Hour}
	_, err := l.Run(func(caller int) error {
		if caller == 1 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
}
