package kernel

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Clock reads a source of time and never runs backwards. When the source
// jumps back, the clock goes on at half its pace until the source has caught
// up, so that what waits for a time still gets there. All methods may be
// called from any goroutine.
type Clock struct {
	source func() time.Time
	last   atomic.Int64 // the latest time shown

	mu     sync.Mutex
	behind time.Time // when the source was first seen to be behind; zero if it is not
	base   int64     // last, then
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
	read := c.source()
	now := read.UnixMicro()
	for {
		last := c.last.Load()
		switch {
		case now == last:
			return last
		case now < last:
			now = c.slew(read, last)
			if now <= last {
				return last
			}
		}
		if c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// slew returns the time to show while the source, which was read as read, is
// behind. Differences of readings are monotonic for the host's clock, however
// it is set.
func (c *Clock) slew(read time.Time, last int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.behind.IsZero() || c.base < last-c.shown(read) {
		c.behind, c.base = read, last
	}
	return c.base + c.shown(read)
}

// shown is how far the clock has gone since the source was behind.
func (c *Clock) shown(read time.Time) int64 {
	return max(0, read.Sub(c.behind).Microseconds()/2)
}
