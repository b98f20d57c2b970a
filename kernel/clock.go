package kernel

import (
	"sync/atomic"
	"time"
)

// A Clock reads a source of time and never runs backwards: when the source
// jumps back, the clock stands still until the source has caught up. All
// methods may be called from any goroutine.
type Clock struct {
	source func() time.Time
	last   atomic.Int64
}

// NewClock returns a clock over source, or over the host's clock if source is
// nil. It never shows a time before floor, which is how a database continues
// from the time of its last commit.
func NewClock(source func() time.Time, floor time.Time) *Clock {
	if source == nil {
		source = time.Now
	}
	c := &Clock{source: source}
	c.last.Store(floor.UnixMicro())
	return c
}

// Now returns the time in UTC with microseconds.
func (c *Clock) Now() time.Time {
	return time.UnixMicro(c.Micros()).UTC()
}

// Micros returns the time in microseconds since 1970.
func (c *Clock) Micros() int64 {
	now := c.source().UnixMicro()
	for {
		last := c.last.Load()
		if now <= last {
			return last
		}
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}
