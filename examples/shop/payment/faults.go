package payment

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// Settings are how slow the service is and how often it fails.
type Settings struct {
	// Latency is how long a request takes, on average.
	Latency time.Duration `json:"latency"`
	// Failures is the share of the requests that fail, 0 to 1: one half
	// before they did anything, the other half after, their reply lost.
	Failures float64 `json:"failures"`
}

// Check refuses settings that make no sense with abi.Invalid.
func (s Settings) Check() error {
	switch {
	case s.Latency < 0 || s.Latency > time.Minute:
		return abi.Errorf("payment.settings", abi.Invalid, "latency", "%v is outside 0s to 1m", s.Latency).
			WithHint("give a duration such as 200ms")
	case !(s.Failures >= 0 && s.Failures <= 1):
		return abi.Errorf("payment.settings", abi.Invalid, "failures", "%v is outside 0 to 1", s.Failures).
			WithHint("give a share of the requests, such as 0.2")
	}
	return nil
}

// A fate is what happens to one request.
type fate int

const (
	answered   fate = iota
	refused         // fails before anything was done
	unanswered      // is done, but the reply is lost
)

// draw decides about one request, by two random numbers in [0, 1).
func (s Settings) draw(luck, pace float64) (f fate, pause time.Duration) {
	switch {
	case luck < s.Failures/2:
		f = refused
	case luck < s.Failures:
		f = unanswered
	}
	return f, time.Duration((0.5 + pace) * float64(s.Latency))
}

func (s Settings) drawRandom() (fate, time.Duration) {
	return s.draw(rand.Float64(), rand.Float64())
}

// pause waits; it gives up with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
