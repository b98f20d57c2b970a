package sched

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// An Outcome is how a task ended.
type Outcome struct {
	State   State // Succeeded or Failed
	Output  *string
	Failure *string // JSON
}

// Conclude is Finish in a transaction of its own. Where many machines share the
// database it is one statement, which concurrent calls share. It may be
// repeated when it is not known whether it was done. limited says that the
// task's queue has limits, so that there is room in it now.
func (s *Service) Conclude(ctx context.Context, call abi.Call, l Lease, o Outcome, limited bool) error {
	if s.shared == nil {
		_, err := s.db.Update(ctx, call, func(tx dbms.Tx) error {
			if limited {
				tx.Notify(Ready)
			}
			return s.Finish(tx, l, o)
		})
		return err
	}
	rows, err := s.shared.Gather(ctx, call, s.q.TaskFinishMany, l.ID, l.Epoch, string(o.State), o.Output, o.Failure, s.shared.Now())
	if err != nil {
		return err
	}
	if len(rows) == 1 {
		topics := []string{Changed, NewsOf(l.ID), Ready}
		if !limited {
			topics = topics[:2]
		}
		s.shared.Signal(topics...)
		return nil
	}
	return s.concludeAwaited(ctx, call, l, o, limited)
}

// concludeAwaited finishes a task that others wait on, or that is no longer
// the caller's.
//
// READ COMMITTED is enough, and needed: the update waits until those who are
// about to wait on the task have been parked, for they lock its row (task_await),
// and the second statement then sees them.
func (s *Service) concludeAwaited(ctx context.Context, call abi.Call, l Lease, o Outcome, limited bool) error {
	_, err := s.shared.UpdateReadCommitted(ctx, call, func(tx dbms.Tx) error {
		if limited {
			tx.Notify(Ready)
		}
		err := s.Finish(tx, l, o)
		if abi.KindOf(err) != abi.Fenced {
			return err
		}
		// Perhaps by an earlier try whose outcome was unknown.
		old, getErr := s.Get(tx, l.ID)
		if getErr == nil && old.Epoch == l.Epoch && old.State == o.State && same(old.Output, o.Output) && same(old.Error, o.Failure) {
			tx.Notify(Changed) // what that try owes
			tx.Notify(NewsOf(l.ID))
			return nil
		}
		return err
	})
	return err
}

func same(a, b *string) bool { return a == b || a != nil && b != nil && *a == *b }

// Finish records a task's outcome and wakes who waits for it.
func (s *Service) Finish(tx dbms.Tx, l Lease, o Outcome) error {
	// Few tasks are waited for, so that is tried second; it saves to ask.
	for _, awaited := range []bool{false, true} {
		n, err := tx.Exec(s.q.TaskFinish, l.ID, l.Epoch, string(o.State), o.Output, o.Failure, tx.Now(), awaited)
		if err != nil {
			return err
		}
		if n > 0 {
			tx.Notify(Changed)
			return s.News(tx, l.ID, awaited)
		}
	}
	return fenced("sched.finish", l)
}

// News tells everybody who waits on a task that there is news of it: an
// outcome or an event. awaited says whether tasks wait on it.
func (s *Service) News(tx dbms.Tx, id string, awaited bool) error {
	tx.Notify(NewsOf(id))
	if !awaited {
		return nil
	}
	n, err := tx.Exec(s.q.TaskWake, id)
	if n > 0 {
		tx.Notify(Ready)
	}
	return err
}

// Awaited reports whether any task ever waited on this one. Call it before
// what is waited for is written: on an engine that many machines share it locks
// the task, so that nobody begins to wait in between.
func (s *Service) Awaited(tx dbms.Tx, id string) (bool, error) {
	rows, err := tx.Query(s.q.TaskAwaited, id)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	var awaited bool
	if rows.Next() {
		err = rows.Scan(&awaited)
	}
	return awaited, err
}

// Await marks a task as waited on, for Park. Call it before looking whether
// the wait is over: on an engine that many machines share it locks the task, so
// that there is no news of it in between.
func (s *Service) Await(tx dbms.Tx, on string) error {
	_, err := tx.Exec(s.q.TaskAwait, on)
	return err
}

// Park puts a task to wait without a worker until a time (if not nil), or
// until there is news of another task (if not "", see Await), whichever comes
// first.
func (s *Service) Park(tx dbms.Tx, l Lease, until *time.Time, on string) error {
	var waitOn *string
	if on != "" {
		waitOn = &on
	}
	n, err := tx.Exec(s.q.TaskPark, l.ID, l.Epoch, until, waitOn)
	if err != nil {
		return err
	}
	if n == 0 {
		return fenced("sched.park", l)
	}
	if s.shared == nil {
		tx.Notify(Ready) // the dispatcher learns of the time
	}
	tx.Notify(Changed)
	return nil
}

// Alone runs fn as one transaction: SERIALIZABLE, or, where many machines
// share the database, at READ COMMITTED. It is for procedures of this service and
// the journal's: each locks the row of the task that it decides upon before it
// reads what depends on it (the journal's fence, Await, Awaited), and so needs no
// more.
func (s *Service) Alone(ctx context.Context, call abi.Call, fn func(tx dbms.Tx) error) error {
	update := s.db.Update
	if s.shared != nil {
		update = s.shared.UpdateReadCommitted
	}
	_, err := update(ctx, call, fn)
	return err
}
