package dbos

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// A State is where a run is in its life.
type State = sched.State

// The states of a run.
const (
	Queued    = sched.Queued    // waits for a process to execute it
	Running   = sched.Running   // a process executes it
	Waiting   = sched.Waiting   // sleeps, or waits for another run; no process holds it
	Succeeded = sched.Succeeded // its function returned a value
	Failed    = sched.Failed    // its function returned an error
	Cancelled = sched.Canceled  // somebody called it off
	// Interrupted is shown, not stored: it was running when its process
	// died, and continues when a system is launched on the database.
	Interrupted State = "interrupted"
)

// A Filter selects runs; zero fields select all.
type Filter struct {
	Live     bool // only unfinished ones
	States   []State
	Workflow string
	Queue    string
	Parent   string
	Since    time.Time // started then or later
	Limit    int       // 1 to 10 000; 0 means 100
}

// A RunInfo describes a run.
type RunInfo struct {
	ID, Workflow, Queue, Parent, Version string
	Node                                 string // that executes it
	State                                State
	Principal                            abi.Principal
	Priority, Attempt, Epoch, Recoveries int
	Input, Output                        json.RawMessage
	Error                                *Failure
	CreatedAt                            time.Time
	StartedAt, FinishedAt                *time.Time
	WakeAt                               *time.Time // while it sleeps
	WaitsFor                             string     // the run whose news it waits for
}

// A StepInfo describes a recorded step of a run.
type StepInfo struct {
	Seq                   int
	Name, Kind            string
	Digest                string // of its arguments
	Output                json.RawMessage
	Error                 *Failure
	StartedAt, FinishedAt time.Time
	Attempts              int
	Child                 string // the run that it started or waited for
}

// An EventInfo describes a published event of a run.
type EventInfo struct {
	Key   string
	Value json.RawMessage
	SetAt time.Time
}

// Runs returns the selected runs, the newest first.
func (s *System) Runs(ctx context.Context, f Filter) ([]RunInfo, error) {
	states := slices.Clone(f.States)
	if i := slices.Index(states, Interrupted); i >= 0 {
		states[i] = Running // so it is stored
	}
	var list []RunInfo
	err := s.db.View(ctx, func(tx dbms.Tx) error {
		list = nil
		tasks, err := s.tasks.List(tx, sched.Filter{
			Live: f.Live, States: states, Name: f.Workflow, Queue: f.Queue, Parent: f.Parent, Since: f.Since, Limit: f.Limit,
		})
		for i := range tasks {
			info := s.info(&tasks[i])
			if len(f.States) == 0 || slices.Contains(f.States, info.State) {
				list = append(list, info)
			}
		}
		return err
	})
	return list, err
}

// Lookup returns a run, or an error of kind abi.NotFound.
func (s *System) Lookup(ctx context.Context, id string) (RunInfo, error) {
	var info RunInfo
	err := s.lookAt(ctx, "lookup", func(tx dbms.Tx, rec *recorder) error {
		rec.read(taskTable, id)
		t, err := s.tasks.Get(tx, id)
		if err == nil {
			info = s.info(t)
		}
		return err
	})
	return info, err
}

// lookAt is View for the services. What a run reads of others is recorded; who
// looks at runs from outside, again and again, is not.
func (s *System) lookAt(ctx context.Context, procedure string, fn func(tx dbms.Tx, rec *recorder) error) error {
	var v *viewing
	if executionOf(ctx) != nil {
		v = s.views.begin()
	}
	err := s.db.View(ctx, func(tx dbms.Tx) error { return fn(tx, v.saw(tx)) })
	v.end(ctx, procedure)
	return err
}

func (s *System) info(t *sched.Task) RunInfo {
	info := RunInfo{
		ID: t.ID, Workflow: t.Name, Queue: t.Queue, Parent: text(t.Parent), Version: t.Version, Node: text(t.Worker),
		State: t.State, Principal: t.Principal, Priority: t.Priority, Attempt: t.Attempt, Epoch: t.Epoch, Recoveries: t.Recoveries,
		Input: payload(t.Codec, &t.Input), Output: payload(t.Codec, t.Output),
		CreatedAt: t.CreatedAt, StartedAt: t.StartedAt, FinishedAt: t.FinishedAt, WakeAt: t.WakeAt, WaitsFor: text(t.WaitOn),
	}
	if t.Error != nil {
		info.Error = s.errors.load(*t.Error)
	}
	if t.State == Running && !s.held(t) {
		info.State = Interrupted
	}
	return info
}

// held reports whether somebody executes a running task.
func (s *System) held(t *sched.Task) bool {
	if t.Held != nil {
		return *t.Held
	}
	return t.Worker != nil && *t.Worker == *s.worker.Load() // the database has one owner, and that is us
}

// payload returns a stored value as JSON: of another codec a string in
// base64.
func payload(codec string, text *string) json.RawMessage {
	switch {
	case text == nil:
		return nil
	case codec == jsonName:
		return json.RawMessage(*text)
	}
	quoted, _ := json.Marshal(*text) // a string always has a JSON form
	return quoted
}

// Journal returns the recorded steps of a run, in order.
func (s *System) Journal(ctx context.Context, id string) ([]StepInfo, error) {
	var list []StepInfo
	err := s.lookAt(ctx, "journal", func(tx dbms.Tx, rec *recorder) error {
		list = nil
		rec.read(taskTable, id)
		t, err := s.tasks.Get(tx, id)
		if err != nil {
			return err
		}
		steps, err := s.journal.Journal(tx, id)
		for i := range steps {
			list = append(list, s.stepInfo(t.Codec, &steps[i]))
		}
		return err
	})
	return list, err
}

func (s *System) stepInfo(codec string, step *workflow.Step) StepInfo {
	info := StepInfo{
		Seq: step.Seq, Name: step.Name, Kind: string(step.Kind), Digest: text(step.Digest), Output: payload(codec, step.Output),
		StartedAt: step.StartedAt, FinishedAt: step.FinishedAt, Attempts: step.Attempts,
	}
	if step.Error != nil {
		info.Error = s.errors.load(*step.Error)
	}
	switch step.Kind {
	case workflow.Result:
		info.Child = step.Name
	case workflow.Start:
		if codec == jsonName {
			_ = json.Unmarshal(info.Output, &info.Child) // no ID, no child
		}
	}
	return info
}

// Events returns what a run has published, by key.
func (s *System) Events(ctx context.Context, id string) ([]EventInfo, error) {
	var list []EventInfo
	err := s.lookAt(ctx, "events", func(tx dbms.Tx, rec *recorder) error {
		list = nil
		rec.read(taskTable, id)
		t, err := s.tasks.Get(tx, id)
		if err != nil {
			return err
		}
		values, err := s.journal.Events(tx, id)
		for _, v := range values {
			list = append(list, EventInfo{Key: v.Key, Value: payload(t.Codec, &v.Value), SetAt: v.SetAt})
		}
		return err
	})
	return list, err
}

// Cancel calls off a run and the unfinished runs that it started: a running
// step's context ends, and nothing more is recorded on the run's behalf.
// Cancelling a cancelled run does nothing; of a run that has finished
// otherwise the error is of kind abi.Conflict.
func (s *System) Cancel(ctx context.Context, id string) error {
	return s.tasks.Alone(ctx, s.call("sched.cancel", s.principal(ctx)), func(tx dbms.Tx) error {
		cause := abi.Errorf("dbos.cancel", abi.Canceled, "run "+id, "it was cancelled by %s: %w", s.principal(ctx), context.Canceled)
		return s.tasks.Cancel(tx, id, s.errors.store(cause))
	})
}

// Resume continues a cancelled or failed run from its journal: recorded steps
// keep their outcome, except that the last step of a failed run is tried again
// if it failed. An unfinished run is left alone; of one that has succeeded the
// error is of kind abi.Conflict.
func (s *System) Resume(ctx context.Context, id string) error {
	_, err := s.db.Update(ctx, s.call("sched.resume", s.principal(ctx)), func(tx dbms.Tx) error {
		t, err := s.tasks.Get(tx, id)
		if err != nil {
			return err
		}
		if t.State == Failed {
			if err := s.journal.Retract(tx, id); err != nil {
				return err
			}
		}
		return s.tasks.Resume(tx, t)
	})
	return err
}

// Outcome waits until a run has finished and returns its output as JSON, or
// its error.
func (s *System) Outcome(ctx context.Context, id string) (json.RawMessage, error) {
	o := &outcomeQuery{sys: s, id: id}
	if err := s.finished(ctx, o); err != nil {
		return nil, err
	}
	if o.failure != nil {
		return nil, o.failure
	}
	return payload(o.codec.Name(), &o.output), nil
}
