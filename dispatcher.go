package dbos

import (
	"context"
	"errors"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
)

// dispatchBatch is how many tasks one transaction of the dispatcher claims,
// wakes or recovers.
const dispatchBatch = 500

// dispatch is the goroutine that brings queued tasks to execution. It sleeps
// until a commit says that there may be one, a slot becomes free, or the next
// waiting task is due: it never polls.
func (s *System) dispatch() {
	w, queues := s.db.Watch(sched.Ready), s.db.Watch(sched.Queues)
	defer w.Close()
	defer queues.Close()
	recovering := true
	for s.ctx.Err() == nil {
		if recovering {
			recovering = s.recover()
		}
		rest, more, err := s.round()
		if err != nil {
			if s.ctx.Err() == nil {
				s.log.Warn("dispatching failed; trying again", "error", err)
			}
			rest, more = new(time.Second), false
		}
		if more || recovering {
			continue
		}
		s.doze(w, queues, rest)
	}
}

// doze waits for a reason to dispatch, at most so long (nil for as long as it
// takes).
func (s *System) doze(ready, queues dbms.Watcher, rest *time.Duration) {
	var timer <-chan time.Time
	if rest != nil {
		// Not longer than a minute, because the database's clock may be set.
		t := time.NewTimer(min(*rest, time.Minute))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ready.C():
	case <-queues.C():
		s.tasks.Refresh()
	case <-timer:
	case <-s.freed:
	case <-s.registered:
	case <-s.ctx.Done():
	}
}

// round claims what is queued, and, if nobody else does (see beat), wakes what
// is due. rest is the time until there may be something to do, nil if that takes
// a reason to wake up; more says that another round has work.
func (s *System) round() (rest *time.Duration, more bool, err error) {
	if s.tasks.Shared() {
		more, again, err := s.claim()
		if more && again > 0 {
			return &again, false, err
		}
		return nil, more, err
	}
	queued, due := false, false
	err = s.db.View(s.ctx, func(tx dbms.Tx) error {
		var at *time.Time
		if queued, at, err = s.tasks.Outlook(tx); at != nil {
			rest = new(at.Sub(tx.Now())) // by the database's clock, not the host's
			due = *rest <= 0
		}
		return err
	})
	if err != nil || !queued && !due {
		return rest, false, err
	}
	if due {
		woken, err := s.wake()
		if err != nil {
			return rest, false, err
		}
		more = woken > 0
	}
	full, _, err := s.claim()
	return rest, more || full, err
}

// wake queues tasks whose time has come.
func (s *System) wake() (n int64, err error) {
	_, err = s.db.Update(s.ctx, s.call("sched.due", abi.System), func(tx dbms.Tx) error {
		var err error
		n, err = s.tasks.Due(tx, dispatchBatch)
		return err
	})
	return n, err
}

// claim takes as many queued tasks as there are free slots. more says that
// there may be more, at once or (again) after so long.
func (s *System) claim() (more bool, again time.Duration, err error) {
	names, slots := s.reserve()
	if slots == 0 {
		return false, 0, nil
	}
	cancels := s.cancels.Load()
	tasks, more, again, err := s.tasks.Take(s.ctx, s.call("sched.claim", abi.System), *s.worker.Load(), names, slots)
	if err != nil {
		s.astray(err)
		tasks, more = nil, false
	}
	s.freeSlots(slots - len(tasks))
	for i := range tasks {
		s.execute(&tasks[i], tasks[i].Attempt > 1, cancels) // the first has no journal yet
	}
	return more, again, err
}

// reserve takes slots for a claim and lists the workflows that can be
// executed here.
func (s *System) reserve() (names []string, slots int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.definitions {
		names = append(names, name)
	}
	if len(names) == 0 || s.closing {
		return nil, 0
	}
	slots = min(s.slots, dispatchBatch)
	s.slots -= slots
	s.starved = slots == 0
	return names, slots
}

// recover queues tasks of dead workers. It reports whether there may be more.
func (s *System) recover() bool {
	var n int64
	err := s.tasks.Alone(s.ctx, s.call("sched.recover", abi.System), func(tx dbms.Tx) error {
		var err error
		if n, err = s.tasks.Recover(tx, *s.worker.Load(), dispatchBatch); err != nil || n == 0 {
			return err
		}
		return s.condemn(tx)
	})
	if err != nil && s.ctx.Err() == nil {
		s.log.Warn("recovery failed; trying again", "error", err)
		select {
		case <-time.After(time.Second):
		case <-s.ctx.Done():
		}
		return true
	}
	return n == dispatchBatch
}

// condemn fails the tasks that took their processes down too often.
func (s *System) condemn(tx dbms.Tx) error {
	poison := abi.Errorf("dbos.recover", abi.Exhausted, "run", "its process died more than %d times while it ran", s.options.recoveries).
		WithHint("find out why, then resume it")
	return s.tasks.Condemn(tx, s.options.recoveries, s.errors.store(poison))
}

// watchCancelled is the goroutine that makes cancellations reach the runs
// that this process executes.
func (s *System) watchCancelled() {
	w := s.db.Watch(sched.Cancelled)
	defer w.Close()
	for {
		select {
		case <-w.C():
		case <-s.recheck:
		case <-s.ctx.Done():
			return
		}
		s.cancels.Add(1) // before looking: see execute
		if err := s.cancelLocal(); err != nil && s.ctx.Err() == nil {
			s.log.Warn("cannot look for cancelled runs", "error", err)
		}
	}
}

// local returns the executions of this process.
func (s *System) local() []*execution {
	s.mu.Lock()
	defer s.mu.Unlock()
	executions := make([]*execution, 0, len(s.running))
	for _, e := range s.running {
		executions = append(executions, e)
	}
	return executions
}

// cancelLocal ends the executions whose tasks are no longer theirs.
func (s *System) cancelLocal() error {
	executions := s.local()
	if len(executions) == 0 {
		return nil
	}
	return s.db.View(s.ctx, func(tx dbms.Tx) error {
		holds, err := s.holds(tx)
		if err != nil {
			return err
		}
		for _, e := range executions {
			held, err := holds(e.lease())
			if err != nil {
				return err
			}
			if !held {
				e.cancel(abi.Errorf("dbos.run", abi.Canceled, "run "+e.task.ID, "it was cancelled, or put back: %w", context.Canceled))
			}
		}
		return nil
	})
}

// holds returns a function that reports whether a lease holds.
func (s *System) holds(tx dbms.Tx) (func(sched.Lease) (bool, error), error) {
	if !s.tasks.Shared() {
		return func(l sched.Lease) (bool, error) {
			t, err := s.tasks.Get(tx, l.ID)
			if errors.Is(err, abi.NotFound) {
				return false, nil // it was put back to before it began
			}
			return err == nil && t.State == sched.Running && t.Epoch == l.Epoch, err
		}, nil
	}
	// One statement for all of them, and for nobody else's.
	list, err := s.tasks.Strays(tx, *s.worker.Load())
	if err != nil {
		return nil, err
	}
	held := map[sched.Lease]bool{}
	for _, l := range list {
		held[l] = true
	}
	return func(l sched.Lease) (bool, error) { return held[l], nil }, nil
}
