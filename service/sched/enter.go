package sched

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Enter is Submit in a transaction of its own. Where many machines share the
// database it is one statement, which concurrent calls share. When its outcome
// is unknown (abi.Unknown) it may be repeated with the same t; if the task is
// there already, Entered tells whether that was the first try.
func (s *Service) Enter(ctx context.Context, call abi.Call, t *Task) (added bool, err error) {
	if s.shared == nil {
		_, err = s.db.Update(ctx, call, func(tx dbms.Tx) error {
			added, err = s.Submit(tx, t)
			return err
		})
		return added, err
	}
	if err := checkPriority(t); err != nil {
		return false, err
	}
	again := !t.CreatedAt.IsZero()
	if !again {
		t.CreatedAt = s.created()
	}
	worker := t.Worker
	rows, err := s.shared.Gather(ctx, call, s.q.TaskSubmit, t.ID, t.Name, t.Queue, t.Priority, t.Codec, t.Input, t.Parent,
		t.Principal, t.Version, worker, t.CreatedAt)
	if err != nil {
		return false, err
	}
	var result string
	var epoch int
	if err := one(rows, &result, &epoch); err != nil {
		return false, err
	}
	switch result {
	case "running":
		t.State, t.Epoch, t.Attempt, t.StartedAt = Running, epoch, 1, &t.CreatedAt
		s.shared.Signal(Changed)
	case "queued": // perhaps because the worker has lost its lease
		t.State, t.Worker = Queued, nil
		s.shared.Signal(Ready, Changed)
	case "no queue":
		return false, noQueue(t.Queue)
	default:
		if again {
			s.shared.Signal(Ready, Changed) // what the first try owes
		}
		return false, nil
	}
	return true, nil
}

// Entered reports whether old is the row that an earlier try of submitting t
// made this worker's: its outcome was unknown, and it was done.
func Entered(t, old *Task) bool {
	return t.Worker != nil && old.State == Running && old.Worker != nil && *old.Worker == *t.Worker &&
		old.Attempt == 1 && old.CreatedAt.Equal(t.CreatedAt)
}

// one scans the only row of a gathered call.
func one(rows [][]dbms.Value, dest ...any) error {
	if len(rows) != 1 {
		return abi.Errorf("sched.gather", abi.Corrupt, "result", "%d rows instead of one", len(rows))
	}
	return dbms.ScanValues(rows[0], dest...)
}

// created returns the database's time, in microseconds of which no two are
// the same in this process: so a submission is recognised by it.
func (s *Service) created() time.Time {
	now := s.shared.Now().UnixMicro()
	for {
		last := s.last.Load()
		next := max(now, last+1)
		if s.last.CompareAndSwap(last, next) {
			return time.UnixMicro(next).UTC()
		}
	}
}
