package sched

import (
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A State is where a task is in its life.
type State string

const (
	Queued    State = "queued"  // waits for a worker
	Running   State = "running" // a worker executes it
	Waiting   State = "waiting" // for a time or another task; no worker holds it
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Canceled  State = "cancelled"
)

// Final reports whether the state is an outcome.
func (s State) Final() bool { return s == Succeeded || s == Failed || s == Canceled }

// A Task is a row of the process table.
type Task struct {
	ID        string
	Name      string // of the workflow
	Queue     string // "" for none
	State     State
	Priority  int // higher goes first
	Codec     string
	Input     string
	Output    *string
	Error     *string // JSON
	Parent    *string
	Principal abi.Principal
	Version   string
	Worker    *string
	Epoch     int // fencing token
	Attempt   int
	// Recoveries counts the claims that ended with the worker's death.
	Recoveries int
	WakeAt     *time.Time
	WaitOn     *string
	CreatedAt  time.Time
	StartedAt  *time.Time
	FinishedAt *time.Time
	// Held says whether the lease of a running task's worker lasts; nil where
	// only the owner of the database could know.
	Held *bool
	// Limited is set by a claim from a queue that has limits.
	Limited bool
}

// A Lease is a worker's right to execute a task: every write on behalf of the
// task names it and fails with abi.Fenced when it has been lost.
type Lease struct {
	ID    string
	Epoch int
}

// fenced is the error of a lost lease.
func fenced(op string, l Lease) error {
	return abi.Errorf(op, abi.Fenced, "run "+l.ID, "epoch %d no longer holds the lease", l.Epoch)
}

func notFound(op, id string) error {
	return abi.Errorf(op, abi.NotFound, "run "+id, "there is no such run")
}

func (t *Task) scan(rows dbms.Rows) error {
	var state string
	err := rows.Scan(&t.ID, &t.Name, &t.Queue, &state, &t.Priority, &t.Codec, &t.Input, &t.Output, &t.Error,
		&t.Parent, &t.Principal, &t.Version, &t.Worker, &t.Epoch, &t.Attempt, &t.Recoveries,
		&t.WakeAt, &t.WaitOn, &t.CreatedAt, &t.StartedAt, &t.FinishedAt, &t.Held)
	t.State = State(state)
	return err
}
