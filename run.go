package dbos

import (
	"context"
	"fmt"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// A Run is a handle of one execution of a workflow.
type Run[Out any] struct {
	sys    *System
	id     string
	queued time.Time // when it was put into a queue through this handle
}

// Find returns the handle of a run, which need not exist yet.
func Find[Out any](s *System, id string) *Run[Out] { return &Run[Out]{sys: s, id: id} }

// ID returns the run's ID.
func (r *Run[Out]) ID() string { return r.id }

// Result waits until the run has finished, or ctx ends, and returns its
// outcome: the function's value or error. The error of a cancelled run is of
// kind abi.Canceled; a run that does not exist gives abi.NotFound. With a
// workflow's Context it is a step.
func (r *Run[Out]) Result(ctx context.Context) (Out, error) {
	var value Out
	o := &outcomeQuery{sys: r.sys, id: r.id}
	e := executionOf(ctx)
	if e == nil {
		if !r.queued.IsZero() && time.Since(r.queued) < time.Second {
			o.patience = headStart
		}
		if err := r.sys.finished(ctx, o); err != nil {
			return value, err
		}
		return value, o.decode(&value)
	}
	step, recorded := e.next(workflow.Result, r.id, nil)
	if recorded {
		return value, replay(e, step, &value)
	}
	err := e.await(r.id, func(ctx context.Context) error { return r.sys.finished(ctx, o) }, o.ready)
	if err == nil {
		err = o.decode(&value)
	}
	rec := e.sys.recorder()
	rec.read(taskTable, r.id)
	return outcome(e, step, value, err, rec)
}

// headStart is how long the result of a run that was queued just now is
// waited for before the database is asked: most often the news of it comes
// before that.
const headStart = 20 * time.Millisecond

// finished waits until a run has its outcome: of a run that this process
// executes, or has just executed, without asking the database.
func (s *System) finished(ctx context.Context, o *outcomeQuery) error {
	if over, err := o.here(ctx); over || err != nil {
		return err
	}
	w := s.db.Watch(sched.NewsOf(o.id))
	defer w.Close()
	if o.patience > 0 {
		timer := time.NewTimer(o.patience)
		defer timer.Stop()
		select {
		case <-w.C():
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return s.awaitNews(ctx, w, o.id, func() (bool, error) { return o.here(ctx) }, o.ready)
}

// An outcomeQuery looks for the outcome of a run.
type outcomeQuery struct {
	sys      *System
	id       string
	patience time.Duration // before asking the database
	codec    Codec
	output   string
	failure  *Failure
}

// here looks for the outcome in this process, and waits for it if the run is
// executed here.
func (o *outcomeQuery) here(ctx context.Context) (bool, error) {
	o.sys.mu.Lock()
	e := o.sys.running[o.id]
	o.sys.mu.Unlock()
	if e == nil {
		known, ok := o.sys.outcomes.get(o.id)
		if ok {
			o.codec, o.output = known.codec, known.output
		}
		return ok, nil
	}
	select {
	case <-e.done:
	case <-e.ctx.Done(): // it may not heed that; but what it does will not count
	case <-ctx.Done():
		return false, abi.Errorf("dbos.result", abi.KindOf(ctx.Err()), "run "+o.id, "%w", context.Cause(ctx))
	}
	select {
	case <-e.done:
		if e.final {
			o.codec, o.output, o.failure = e.codec, e.output, e.failure
		}
		return e.final, nil
	default:
		return false, nil
	}
}

func (o *outcomeQuery) ready(tx dbms.Tx) (bool, error) {
	t, err := o.sys.tasks.Get(tx, o.id)
	if err != nil || !t.State.Final() {
		return false, err
	}
	if o.codec, err = o.sys.codecOf(t); err != nil {
		return false, err
	}
	if t.Error != nil {
		o.failure = o.sys.errors.load(*t.Error)
		return true, nil
	}
	if t.Output == nil {
		return false, abi.Errorf("dbos.result", abi.Corrupt, "run "+o.id, "it has %s with neither output nor error", t.State)
	}
	o.output = *t.Output
	return true, nil
}

func (o *outcomeQuery) decode(value any) error {
	if o.failure != nil {
		return o.failure
	}
	return decode(o.codec, fmt.Sprintf("result of run %s", o.id), o.output, value)
}

// codecOf returns the codec of a task's payloads.
func (s *System) codecOf(t *sched.Task) (Codec, error) {
	switch t.Codec {
	case s.options.codec.Name():
		return s.options.codec, nil
	case jsonName:
		return jsonCodec{}, nil
	}
	return nil, abi.Errorf("dbos.codec", abi.Unsupported, "codec "+t.Codec, "this program does not have it").
		WithHint("open the system with dbos.WithCodec")
}
