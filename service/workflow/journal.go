package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A Kind says what sort of step a journal entry records.
type Kind string

const (
	External    Kind = "step"        // work outside the database
	Transaction Kind = "transaction" // committed together with its entry
	Sleep       Kind = "sleep"       // its output is the time of waking
	Start       Kind = "start"       // of a child; its output is the child's ID
	Result      Kind = "result"      // the outcome of another execution
	Event       Kind = "event"       // an event was set
	Get         Kind = "get"         // an event was read
)

// A Step is an entry of an execution's journal.
type Step struct {
	Seq        int // in the order of the program, from 1
	Kind       Kind
	Name       string
	Digest     *string // of the arguments; nil when there are none
	Output     *string // in the execution's codec
	Error      *string // JSON
	Attempts   int
	StartedAt  time.Time
	FinishedAt time.Time
}

// Record writes a step of an execution whose lease is held under epoch. If
// the lease has been lost, it writes nothing and fails with abi.Fenced. If the
// step is there already although the lease is held, it was recorded by an
// earlier try whose outcome was not known: the error is a *RecordedError, and the
// transaction must be rolled back.
func (s *Service) Record(tx dbms.Tx, execution string, epoch int, step *Step) error {
	step.FinishedAt = tx.Now()
	n, err := tx.Exec(s.q.StepInsert, execution, step.Seq, string(step.Kind), step.Name, step.Digest,
		step.Output, step.Error, step.Attempts, step.StartedAt, step.FinishedAt, epoch)
	if err != nil || n == 1 {
		return err
	}
	return s.refused(tx, execution, epoch, step.Seq)
}

// RecordAlone is Record in a transaction of its own. Where many machines share
// the database it is one statement, which concurrent calls share.
func (s *Service) RecordAlone(ctx context.Context, call abi.Call, execution string, epoch int, step *Step) error {
	if s.shared == nil {
		_, err := s.db.Update(ctx, call, func(tx dbms.Tx) error { return s.Record(tx, execution, epoch, step) })
		return err
	}
	step.FinishedAt = s.shared.Now()
	rows, err := s.shared.Gather(ctx, call, s.q.StepRecord, execution, step.Seq, string(step.Kind), step.Name, step.Digest,
		step.Output, step.Error, step.Attempts, step.StartedAt, step.FinishedAt, epoch)
	if err != nil {
		return err
	}
	var result string
	if len(rows) == 1 {
		err = dbms.ScanValues(rows[0], &result)
	}
	switch {
	case err != nil:
		return err
	case result == "recorded":
		return nil
	case result == "there":
		return s.db.View(ctx, func(tx dbms.Tx) error { return s.refused(tx, execution, epoch, step.Seq) })
	}
	return fenced(execution, epoch)
}

// A RecordedError says that a step has been recorded before.
type RecordedError struct {
	Step Step // what was recorded
}

func (e *RecordedError) Error() string {
	return fmt.Sprintf("step %d has been recorded before", e.Step.Seq)
}

// refused says why a step was not written.
func (s *Service) refused(tx dbms.Tx, execution string, epoch, seq int) error {
	rows, err := tx.Query(s.q.StepGet, execution, seq, epoch)
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		e := &RecordedError{}
		if err := e.Step.scan(rows); err != nil {
			return err
		}
		return e
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return fenced(execution, epoch)
}

func fenced(execution string, epoch int) error {
	return abi.Errorf("workflow.record", abi.Fenced, "run "+execution, "epoch %d no longer holds the lease", epoch)
}

// journalBatch is how many steps Journal reads in one query.
const journalBatch = 1000

// Journal returns the recorded steps of an execution, in order.
func (s *Service) Journal(tx dbms.Tx, execution string) ([]Step, error) {
	var steps []Step
	for after := 0; ; after = steps[len(steps)-1].Seq {
		n, err := s.read(tx, execution, after, &steps)
		if err != nil || n < journalBatch {
			return steps, err
		}
	}
}

func (s *Service) read(tx dbms.Tx, execution string, after int, steps *[]Step) (int, error) {
	rows, err := tx.Query(s.q.StepList, execution, after, journalBatch)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var step Step
		if err := step.scan(rows); err != nil {
			return n, err
		}
		*steps = append(*steps, step)
	}
	return n, rows.Err()
}

func (step *Step) scan(rows dbms.Rows) error {
	var kind string
	err := rows.Scan(&step.Seq, &kind, &step.Name, &step.Digest, &step.Output, &step.Error,
		&step.Attempts, &step.StartedAt, &step.FinishedAt)
	step.Kind = Kind(kind)
	return err
}

// Retract removes the last step of an execution if it failed, so that it is
// done again.
func (s *Service) Retract(tx dbms.Tx, execution string) error {
	_, err := tx.Exec(s.q.StepRetract, execution)
	return err
}

// A Value is a published event.
type Value struct {
	Key   string
	Value string // in the execution's codec
	SetAt time.Time
}

// Publish sets an event of an execution. The last value stays.
func (s *Service) Publish(tx dbms.Tx, execution, key, value string) error {
	_, err := tx.Exec(s.q.EventPut, execution, key, value, tx.Now())
	return err
}

// Published returns an event of an execution, or nil if it has not been set.
func (s *Service) Published(tx dbms.Tx, execution, key string) (*Value, error) {
	values, err := s.values(tx, s.q.EventGet, execution, key)
	if err != nil || len(values) == 0 {
		return nil, err
	}
	return &values[0], nil
}

// Events returns all events of an execution by key.
func (s *Service) Events(tx dbms.Tx, execution string) ([]Value, error) {
	return s.values(tx, s.q.EventList, execution)
}

func (s *Service) values(tx dbms.Tx, q *dbms.Query, args ...any) ([]Value, error) {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var values []Value
	for rows.Next() {
		var v Value
		if err := rows.Scan(&v.Key, &v.Value, &v.SetAt); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}
