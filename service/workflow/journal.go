package workflow

import (
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
// the lease has been lost, it writes nothing and fails with abi.Fenced.
func (s *Service) Record(tx dbms.Tx, execution string, epoch int, step *Step) error {
	step.FinishedAt = tx.Now()
	n, err := tx.Exec(s.q.StepInsert, execution, step.Seq, string(step.Kind), step.Name, step.Digest,
		step.Output, step.Error, step.Attempts, step.StartedAt, step.FinishedAt, epoch)
	if err != nil {
		return err
	}
	if n == 0 {
		return abi.Errorf("workflow.record", abi.Fenced, "run "+execution, "epoch %d no longer holds the lease", epoch)
	}
	return nil
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
		var kind string
		err := rows.Scan(&step.Seq, &kind, &step.Name, &step.Digest, &step.Output, &step.Error,
			&step.Attempts, &step.StartedAt, &step.FinishedAt)
		if err != nil {
			return n, err
		}
		step.Kind = Kind(kind)
		*steps = append(*steps, step)
	}
	return n, rows.Err()
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
