package sched

import (
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// Finish records a task's outcome and wakes who waits for it.
func (s *Service) Finish(tx dbms.Tx, l Lease, state State, output, failure *string) error {
	// Few tasks are waited for, so that is tried second; it saves to ask.
	for _, awaited := range []bool{false, true} {
		n, err := tx.Exec(s.q.TaskFinish, l.ID, l.Epoch, string(state), output, failure, tx.Now(), awaited)
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

// Awaited reports whether any task ever waited on this one.
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

// Park puts a task to wait without a worker until a time (if not nil), or
// until there is news of another task (if not ""), whichever comes first.
func (s *Service) Park(tx dbms.Tx, l Lease, until *time.Time, on string) error {
	var waitOn *string
	if on != "" {
		waitOn = &on
		if _, err := tx.Exec(s.q.TaskAwait, on); err != nil {
			return err
		}
	}
	n, err := tx.Exec(s.q.TaskPark, l.ID, l.Epoch, until, waitOn)
	if err != nil {
		return err
	}
	if n == 0 {
		return fenced("sched.park", l)
	}
	tx.Notify(Ready) // the dispatcher learns of the time
	tx.Notify(Changed)
	return nil
}
