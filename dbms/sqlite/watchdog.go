package sqlite

import (
	"time"

	"github.com/dbos-go/dbos/abi"
)

// watchdogTick is how often the watchdog looks at the writer while it works.
const watchdogTick = 10 * time.Millisecond

// watchdog ends functions that must not go on: it interrupts the SQL of one
// whose context has ended or whose time is up, and replaces the writer's
// goroutine when a function without time left sits in its own code. It looks
// at each function only every tick, so a short one costs nothing.
func (w *writer) watchdog() {
	tick := time.NewTicker(watchdogTick)
	defer tick.Stop()
	var seen *tx
	var since time.Time
	for {
		select {
		case <-w.stopped:
			return
		case now := <-tick.C:
			t := w.current.Load()
			if t == nil || t != seen {
				seen, since = t, now
				continue
			}
			if w.enforce(t, now.Sub(since)) {
				seen = nil
			}
		}
	}
}

// enforce ends t if it must end. It reports whether it took t from its
// goroutine.
func (w *writer) enforce(t *tx, age time.Duration) bool {
	late := age >= w.timeout && !t.req.exclusive
	switch {
	case late:
		w.interrupt(t, abi.Errorf("dbms.update", abi.Timeout, "transaction function of "+t.req.call.Procedure,
			"it ran longer than %v", w.timeout).
			WithHint("do slow work, and anything that waits, before or after the transaction"))
	case t.ctx.Err() != nil:
		w.interrupt(t, stopCause(t.ctx))
	}
	if !late {
		return false
	}
	return w.takeOver(t)
}

// interrupt stops t's SQL, once.
func (w *writer) interrupt(t *tx, cause *abi.Error) {
	if t.stopped.CompareAndSwap(nil, cause) {
		close(t.interrupt)
	}
}

// takeOver gives the writer's work to a new goroutine if t's function is in
// its own code. If it is in the engine, the interrupt gets it out, and the
// next tick tries again.
func (w *writer) takeOver(t *tx) bool {
	if !t.state.CompareAndSwap(txIdle, txOver) {
		return false
	}
	t.closeRows()
	w.finish(t.req, t.stopped.Load())
	go w.work()
	return true
}
