package dbmstest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// A handClock is a host's clock that a test sets.
type handClock struct{ micros atomic.Int64 }

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func newHandClock() *handClock {
	c := new(handClock)
	c.set(noon)
	return c
}

func (c *handClock) now() time.Time      { return time.UnixMicro(c.micros.Load()) }
func (c *handClock) set(t time.Time)     { c.micros.Store(t.UnixMicro()) }
func (c *handClock) add(d time.Duration) { c.micros.Add(d.Microseconds()) }
func (c *handClock) options() dbms.Options {
	return dbms.Options{Durability: dbms.Async, Now: c.now, Retention: -1}
}

// examineClock: Tx.Now follows the host's clock forward and never back, not
// even over a restart, and stands still within a transaction.
func examineClock(t *testing.T, e Engine) {
	clock, dir := newHandClock(), t.TempDir()
	d := reopen(t, e, dir, clock.options())
	defer func() { d.close() }()
	look := func() time.Time {
		var now time.Time
		d.update(func(tx dbms.Tx) error {
			now = tx.Now()
			clock.add(time.Millisecond)
			if again := tx.Now(); !again.Equal(now) {
				t.Errorf("Tx.Now went from %v to %v within a transaction", now, again)
			}
			return nil
		})
		return now
	}
	if got := look(); !got.Equal(noon) {
		t.Errorf("Tx.Now is %v, the clock says %v", got, noon)
	}
	high := noon
	for i, jump := range []time.Duration{time.Hour, -24 * time.Hour, time.Second, -time.Hour, 0} {
		clock.set(noon.Add(jump))
		if i == 3 {
			d.close()
			d = reopen(t, e, dir, clock.options())
		}
		now := look()
		if now.Before(high) {
			t.Errorf("the clock jumped to %v: Tx.Now went from %v to %v", noon.Add(jump), high, now)
		}
		high = now
		d.view(func(tx dbms.Tx) error {
			if tx.Now().Before(high) {
				t.Errorf("Tx.Now of a view is %v, the last commit's was %v", tx.Now(), high)
			}
			return nil
		})
	}
	clock.set(noon.Add(48 * time.Hour))
	if got := look(); !got.Equal(noon.Add(48 * time.Hour)) {
		t.Errorf("Tx.Now is %v after the clock has caught up, want %v", got, noon.Add(48*time.Hour))
	}
	var last time.Time
	for _, c := range d.changes(0) {
		if c.Time.Before(last) {
			t.Errorf("commit %d is of %v, the one before of %v", c.LSN, c.Time, last)
		}
		last = c.Time
	}
}
