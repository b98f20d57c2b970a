package dbos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/workflow"
)

// A StepOption changes how a step is done: Retry, Timeout, Args.
type StepOption interface{ step(*stepOptions) }

type stepOptions struct {
	retry   Retry
	timeout time.Duration
	args    []any
}

// Retry repeats a step that failed. The zero value does not: a failed step's
// error is its outcome.
type Retry struct {
	// Attempts is how often the step is tried in all; 0 and 1 mean once, a
	// negative number for ever.
	Attempts int
	// Backoff is the pause after the first failure; 0 means 100 ms.
	Backoff time.Duration
	// MaxBackoff bounds the pause; 0 means 30 s.
	MaxBackoff time.Duration
	// Factor is what the pause grows by after each failure; 0 means 2. Each
	// pause is drawn from its upper half, so that many runs do not try in
	// step.
	Factor float64
	// If says which errors are worth another try; nil means all.
	If func(error) bool
}

func (r Retry) step(o *stepOptions) { o.retry = r }

// Timeout bounds each attempt of a Step: its context ends then.
type Timeout time.Duration

func (t Timeout) step(o *stepOptions) { o.timeout = time.Duration(t) }

type argsOption []any

func (a argsOption) step(o *stepOptions) { o.args = a }

// Args tells what a step works on. A digest of it is recorded, and when the
// step is replayed with other arguments the run stops with an error: the
// program then is not the one that was recorded.
func Args(args ...any) StepOption { return argsOption(args) }

// Step does work outside of the database, such as calling a service, and
// records its outcome. It is done at least once: if the process dies before
// the outcome is recorded, it is done again, with the same IdempotencyKey. An
// error is an outcome too, unless Retry says otherwise.
//
// fn's context ends when the run is cancelled, the system closes, or the
// Timeout passes.
func Step[T any](ctx Context, name string, fn func(ctx context.Context) (T, error), opts ...StepOption) (T, error) {
	e := ctx.execution()
	o, digest := e.stepOptions(name, opts)
	step, recorded := e.next(workflow.External, name, digest)
	var value T
	if recorded {
		return value, replay(e, step, &value)
	}
	err := e.try(step, o.retry, func() error {
		var stepCtx context.Context = &stepContext{Context: e.ctx, run: e, seq: step.Seq}
		if o.timeout > 0 {
			var cancel context.CancelFunc
			stepCtx, cancel = context.WithTimeout(stepCtx, o.timeout)
			defer cancel()
		}
		var err error
		value, err = fn(stepCtx)
		return err
	})
	return outcome(e, step, value, err, nil)
}

// Transaction runs fn as one transaction, which commits together with the
// step's journal entry: it happens exactly once. If fn returns an error,
// nothing is changed, and the error is the step's outcome. fn may run more
// than once before it commits and must not wait for anything: see
// dbms.DB.Update.
func Transaction[T any](ctx Context, name string, fn func(tx *Tx) (T, error), opts ...StepOption) (T, error) {
	e := ctx.execution()
	o, digest := e.stepOptions(name, opts)
	step, recorded := e.next(workflow.Transaction, name, digest)
	if e.again != nil {
		return rerunTransaction(ctx, e, step, recorded, fn)
	}
	var value T
	if recorded {
		return value, replay(e, step, &value)
	}
	rec := e.sys.recorder()
	err := e.try(step, o.retry, func() error {
		return e.commit(e.ctx, step, func(tx dbms.Tx) error {
			rec.begin()
			var err error
			if value, err = fn(&Tx{tx: tx, sys: e.sys, ctx: ctx, run: e, rec: rec}); err != nil {
				rec.saw(tx)
				return err
			}
			output, err := encode(e.codec, "result of transaction "+name, value)
			step.Output = &output
			if err != nil {
				return err
			}
			return rec.seal(tx)
		})
	})
	if err != nil {
		return outcome(e, step, value, err, rec)
	}
	rec.committed()
	return value, replay(e, step, &value)
}

// try does a step until it succeeds or its attempts are used up.
func (e *execution) try(step *workflow.Step, r Retry, do func() error) error {
	pause := r.Backoff
	if pause <= 0 {
		pause = 100 * time.Millisecond
	}
	for {
		err := do()
		switch {
		case err == nil:
			return nil
		case e.ctx.Err() != nil:
			e.leave() // its failure is ours: the next execution does it again
		case r.Attempts >= 0 && step.Attempts >= r.Attempts, r.If != nil && !r.If(err):
			return err
		}
		e.sys.log.Info("step failed; trying again", "run", e.task.ID, "step", step.Name, "attempt", step.Attempts, "error", err)
		e.sleep(pause/2 + rand.N(pause/2+1))
		pause = r.after(pause)
		step.Attempts++
	}
}

// after returns the pause that follows a pause.
func (r Retry) after(pause time.Duration) time.Duration {
	factor, limit := r.Factor, r.MaxBackoff
	if factor <= 0 {
		factor = 2
	}
	if limit <= 0 {
		limit = 30 * time.Second
	}
	return min(time.Duration(float64(pause)*factor), limit)
}

// sleep waits in memory, or leaves when the run ends.
func (e *execution) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-e.ctx.Done():
		e.leave()
	}
}

// outcome records the value or error of a step, and what it looked at, and
// returns what was recorded.
func outcome[T any](e *execution, step *workflow.Step, value T, err error, rec *recorder) (T, error) {
	var recorded T
	step.Output = nil
	if err == nil {
		var output string
		if output, err = encode(e.codec, "result of step "+step.Name, value); err == nil {
			step.Output = &output
		}
	}
	if err != nil {
		step.Error = new(e.sys.errors.store(err))
	}
	if err := e.commitStep(step, rec); err != nil {
		return recorded, err
	}
	return recorded, replay(e, step, &recorded)
}

func (e *execution) stepOptions(name string, opts []StepOption) (stepOptions, *string) {
	var o stepOptions
	for _, opt := range opts {
		opt.step(&o)
	}
	if o.args == nil {
		return o, nil
	}
	text, err := encode(e.codec, "arguments of step "+name, o.args)
	if err != nil {
		e.refuse(abi.Errorf("dbos.step", abi.Invalid, fmt.Sprintf("arguments of step %q", name), "%w", err))
	}
	return o, digest(text)
}
