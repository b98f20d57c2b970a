package dbos

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// An execution is a run that this process executes: a goroutine in its
// function. It ends with the function, or earlier when it waits for long
// (parked), lost its lease, or the system closes; its goroutine then exits
// from inside the step (runtime.Goexit).
type execution struct {
	sys    *System
	def    *definition
	task   *sched.Task
	codec  Codec
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the execution has ended

	journal []workflow.Step // recorded by earlier executions
	seq     int             // of the last step
	left    bool            // the function must not go on
	refusal error           // why, if the run fails by it
	epoch   int             // of the outcomes that this one's may join
	again   *rerun          // if this is a replay, else nil

	// Valid after done is closed, if final.
	final   bool
	output  string
	failure *Failure
}

// takeSlot reserves the right to execute a run.
func (s *System) takeSlot() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots == 0 || s.closing {
		return false
	}
	s.slots--
	return true
}

func (s *System) freeSlots(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots += n
	if s.starved && n > 0 {
		s.starved = false
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}

// execute starts the goroutine of a task that this worker holds, in a slot
// that was taken. replay says that there may be a journal. cancels is
// s.cancels from before the task was committed as this worker's: whoever looked
// for cancelled runs since then may not have found this one.
func (s *System) execute(t *sched.Task, replay bool, cancels uint64) {
	e := &execution{sys: s, task: t, done: make(chan struct{}), epoch: s.outcomes.begin()}
	e.ctx, e.cancel = context.WithCancelCause(s.ctx)
	s.mu.Lock()
	e.def = s.definitions[t.Name]
	s.running[t.ID] = e
	s.executions.Add(1)
	s.mu.Unlock()
	if s.cancels.Load() != cancels {
		signal(s.recheck)
	}
	go e.run(replay)
}

// forget ends an execution.
func (e *execution) forget() {
	s := e.sys
	s.mu.Lock()
	if s.running[e.task.ID] == e {
		delete(s.running, e.task.ID)
	}
	s.mu.Unlock()
	close(e.done) // before the context ends: see finished
	e.cancel(nil)
	s.freeSlots(1)
	s.executions.Done()
}

// run is the execution's goroutine.
func (e *execution) run(replay bool) {
	defer e.forget()
	var output string
	var err error
	returned := false
	defer func() {
		if !returned {
			if e.left && e.refusal == nil {
				return
			}
			err = e.unwound(recover())
		}
		if !e.left || e.refusal != nil {
			e.conclude(output, err)
		}
	}()
	if err = e.prepare(replay); err == nil {
		output, err = e.def.call(e, e.task.Input)
	}
	returned = true
	if len(e.journal) > 0 && !e.left {
		err = e.diverged(e.journal[0].Seq, fmt.Sprintf("the journal records %s %q, the program now ends", e.journal[0].Kind, e.journal[0].Name))
	}
}

// unwound says why the function did not return: it panicked with v, was
// refused, or called runtime.Goexit itself.
func (e *execution) unwound(v any) error {
	switch {
	case v != nil:
		e.sys.log.Error("workflow panicked", "run", e.task.ID, "workflow", e.task.Name, "panic", v, "stack", string(debug.Stack()))
		return abi.Errorf("dbos.run", abi.Panicked, "workflow "+e.task.Name, "%v", v)
	case e.refusal != nil:
		return e.refusal
	}
	return abi.Errorf("dbos.run", abi.Panicked, "workflow "+e.task.Name, "it called runtime.Goexit")
}

// prepare finds the codec and reads the journal.
func (e *execution) prepare(replay bool) error {
	switch e.task.Codec {
	case e.sys.options.codec.Name():
		e.codec = e.sys.options.codec
	case jsonName:
		e.codec = jsonCodec{}
	default:
		return abi.Errorf("dbos.run", abi.Unsupported, "codec "+e.task.Codec, "this program does not have it").
			WithHint("open the system with dbos.WithCodec, then resume the run")
	}
	if e.def == nil {
		return abi.Errorf("dbos.run", abi.NotFound, "workflow "+e.task.Name, "it is not registered here")
	}
	if !replay {
		return nil
	}
	return e.persist(func() error {
		return e.sys.db.View(e.ctx, func(tx dbms.Tx) (err error) {
			e.journal, err = e.sys.journal.Journal(tx, e.task.ID)
			return err
		})
	})
}

// conclude records the outcome.
func (e *execution) conclude(output string, err error) {
	if err != nil && e.ctx.Err() != nil {
		return // cancelled, or closing: not the function's own outcome
	}
	state, out, failure := sched.Succeeded, &output, (*string)(nil)
	if err != nil {
		state, out, failure = sched.Failed, nil, new(e.sys.errors.store(err))
	}
	// Not under the run's own context: an outcome that was reached counts.
	recorded := e.retry(context.WithoutCancel(e.ctx), func(ctx context.Context) error {
		o := sched.Outcome{State: state, Output: out, Failure: failure}
		return e.sys.tasks.Conclude(ctx, e.call("sched.finish", 0), e.lease(), o, e.task.Limited)
	})
	if recorded != nil {
		e.sys.log.Info("outcome dropped", "run", e.task.ID, "reason", recorded)
		return
	}
	e.final, e.output = true, output
	if failure != nil {
		e.failure = e.sys.errors.load(*failure)
		return
	}
	e.sys.outcomes.add(e.task.ID, e.codec, output, e.epoch)
}

func (e *execution) lease() sched.Lease { return sched.Lease{ID: e.task.ID, Epoch: e.task.Epoch} }

// call is the identity of what the execution does in its step seq.
func (e *execution) call(procedure string, seq int) abi.Call {
	return abi.Call{Procedure: procedure, Principal: e.task.Principal, Execution: e.task.ID, Step: seq}
}

// leave ends the goroutine without an outcome: somebody else, or a later
// execution, carries the run on. Deferred functions of the workflow run; the
// steps in them leave too.
func (e *execution) leave() {
	e.left = true
	runtime.Goexit()
}

// refuse ends the goroutine and fails the run.
func (e *execution) refuse(err error) {
	e.left, e.refusal = true, err
	runtime.Goexit()
}

// persist does something that the run cannot go on without. When the lease is
// lost or the run's context ends, it leaves instead of returning.
func (e *execution) persist(fn func() error) error {
	err := e.retry(e.ctx, func(context.Context) error { return fn() })
	switch {
	case err == nil:
		return nil
	case abi.KindOf(err) == abi.Fenced || e.ctx.Err() != nil || abi.KindOf(err) == abi.Closed:
		e.leave()
	}
	return err
}

// retry repeats fn while the database cannot be written: the program cannot
// do anything about that, so it does not see it.
func (e *execution) retry(ctx context.Context, fn func(context.Context) error) error {
	pause := 10 * time.Millisecond
	for {
		err := fn(ctx)
		if !transient(err) {
			return err
		}
		e.sys.log.Warn("the database cannot be written; trying again", "run", e.task.ID, "error", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-e.sys.ctx.Done():
			return err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// transient reports whether an error is the engine's, not the program's, and
// may pass: no connection, or a full disk. After a commit whose outcome is not
// known, whatever is repeated must recognise what it has done already.
func transient(err error) bool {
	e, ok := errors.AsType[*abi.Error](err)
	if !ok || e.Kind != abi.Unavailable && e.Kind != abi.Exhausted && e.Kind != abi.Unknown {
		return false
	}
	layer, _, _ := strings.Cut(e.Op, ".")
	return layer == "sqlite" || layer == "postgres" || layer == "dbms"
}

// commit records a finished step in one transaction with what fn does, which
// is the application's. ctx is the run's.
func (e *execution) commit(ctx context.Context, step *workflow.Step, fn func(tx dbms.Tx) error) error {
	return e.recorded(step, func() error {
		_, err := e.sys.db.Update(ctx, e.call(e.procedure(step), step.Seq), func(tx dbms.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return e.record(tx, step)
		})
		return err
	})
}

// commitOwn is commit with an fn of the services' own procedures.
func (e *execution) commitOwn(step *workflow.Step, fn func(tx dbms.Tx) error) error {
	return e.recorded(step, func() error {
		return e.sys.tasks.Alone(e.ctx, e.call(e.procedure(step), step.Seq), func(tx dbms.Tx) error {
			if err := fn(tx); err != nil {
				return err
			}
			return e.record(tx, step)
		})
	})
}

// commitStep records a finished step, and what it looked at. Its work is done:
// the end of the run's context does not stop the recording.
func (e *execution) commitStep(step *workflow.Step, rec *recorder) error {
	ctx, call := context.WithoutCancel(e.ctx), e.call(e.procedure(step), step.Seq)
	err := e.recorded(step, func() error {
		if rec.empty() {
			return e.sys.journal.RecordAlone(ctx, call, e.task.ID, e.task.Epoch, step)
		}
		return e.sys.tasks.Alone(ctx, call, func(tx dbms.Tx) error {
			if err := rec.seal(tx); err != nil {
				return err
			}
			return e.record(tx, step)
		})
	})
	if err == nil {
		rec.committed()
	}
	return err
}

// recorded persists a step by fn. If an earlier try, whose outcome was not
// known, did it already, the step becomes what that one has recorded.
func (e *execution) recorded(step *workflow.Step, fn func() error) error {
	err := e.persist(fn)
	if before, ok := errors.AsType[*workflow.RecordedError](err); ok {
		*step = before.Step
		// Nobody may have been notified of what that try did.
		if shared, ok := e.sys.db.(dbms.Gatherer); ok {
			shared.Signal(dbms.AllTopics)
		}
		return nil
	}
	return err
}

func (e *execution) record(tx dbms.Tx, step *workflow.Step) error {
	return e.sys.journal.Record(tx, e.task.ID, e.task.Epoch, step)
}

// procedure names a step's transaction, WORKFLOW.STEP.
func (e *execution) procedure(step *workflow.Step) string {
	name := e.task.Name + "." + step.Name
	if len(name) > abi.MaxName {
		name = strings.ToValidUTF8(name[:abi.MaxName], "")
	}
	return name
}
