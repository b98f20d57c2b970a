package dbos

import (
	"context"
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
	w := s.db.Watch(sched.Ready)
	defer w.Close()
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
		s.doze(w, rest)
	}
}

// doze waits for a reason to dispatch, at most so long (nil for as long as it
// takes).
func (s *System) doze(w dbms.Watcher, rest *time.Duration) {
	var timer <-chan time.Time
	if rest != nil {
		// Not longer than a minute, because the database's clock may be set.
		t := time.NewTimer(min(*rest, time.Minute))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-w.C():
	case <-timer:
	case <-s.freed:
	case <-s.registered:
	case <-s.ctx.Done():
	}
}

// round wakes what is due and claims what is queued. rest is the time until
// the next waiting task is due, nil if there is none; more says that another
// round has work.
func (s *System) round() (rest *time.Duration, more bool, err error) {
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
	full, err := s.claim()
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

// claim takes as many queued tasks as there are free slots. It reports
// whether there may be more.
func (s *System) claim() (more bool, err error) {
	names, slots := s.reserve()
	if slots == 0 {
		return false, nil
	}
	var tasks []sched.Task
	cancels := s.cancels.Load()
	_, err = s.db.Update(s.ctx, s.call("sched.claim", abi.System), func(tx dbms.Tx) error {
		var err error
		tasks, err = s.tasks.Claim(tx, s.worker, names, slots)
		return err
	})
	if err != nil {
		tasks = nil
	}
	for range slots - len(tasks) {
		s.freeSlot()
	}
	for i := range tasks {
		s.execute(&tasks[i], true, cancels)
	}
	return len(tasks) == slots, err
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
	_, err := s.db.Update(s.ctx, s.call("sched.recover", abi.System), func(tx dbms.Tx) error {
		var err error
		if n, err = s.tasks.Recover(tx, s.worker, dispatchBatch); err != nil || n == 0 {
			return err
		}
		poison := abi.Errorf("dbos.recover", abi.Exhausted, "run", "its process died more than %d times while it ran", s.options.recoveries).
			WithHint("find out why, then resume it")
		return s.tasks.Condemn(tx, s.options.recoveries, s.errors.store(poison))
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

// cancelLocal ends the executions whose tasks are no longer theirs.
func (s *System) cancelLocal() error {
	s.mu.Lock()
	executions := make([]*execution, 0, len(s.running))
	for _, e := range s.running {
		executions = append(executions, e)
	}
	s.mu.Unlock()
	return s.db.View(s.ctx, func(tx dbms.Tx) error {
		for _, e := range executions {
			t, err := s.tasks.Get(tx, e.task.ID)
			if err != nil {
				return err
			}
			if t.State != sched.Running || t.Epoch != e.task.Epoch {
				e.cancel(abi.Errorf("dbos.run", abi.Canceled, "run "+e.task.ID, "it was cancelled: %w", context.Canceled))
			}
		}
		return nil
	})
}
