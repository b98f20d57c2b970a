package dbos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// A rerun is the replay of one run. Its function runs in a goroutine of its own,
// which asks for the transactions and otherwise takes outcomes from the
// journal.
type rerun struct {
	r       *replaying
	id      string
	task    *sched.Task
	def     *definition
	commits map[int]*pastCommit // by step
	needs   dbms.LSN            // the state of the next transaction
	result  Replayed

	asks  chan *wanted
	asked *wanted
	ended chan struct{}

	// Of the function's goroutine, while it works.
	e        *execution
	journal  []workflow.Step // not replayed yet
	children []string        // which it started

	// diverged says that there was a difference, and apart that since then the
	// tables are others than they were.
	diverged, apart bool
	last            dbms.LSN  // the state after the last transaction
	session         *session  // while it is apart
	applied         []*wanted // what the session has done
}

// begin starts the function.
func (run *rerun) begin(ctx context.Context) error {
	s := run.r.sys
	err := s.db.View(ctx, func(tx dbms.Tx) (err error) {
		run.journal, err = s.journal.Journal(tx, run.id)
		return err
	})
	if err != nil {
		return err
	}
	if missed := run.missed(run.journal); missed != nil {
		run.result.Skipped = s.errors.failure(missed, 0)
		close(run.ended)
		return nil
	}
	e := &execution{sys: s, def: run.def, task: run.task, done: make(chan struct{}), again: run}
	e.ctx, e.cancel = context.WithCancelCause(ctx)
	run.e = e
	go run.run()
	return nil
}

// run is the goroutine of the function.
func (run *rerun) run() {
	e := run.e
	defer close(run.ended)
	defer e.cancel(nil)
	var output string
	var err error
	returned := false
	defer func() {
		if !returned && e.left && e.refusal == nil {
			return // the result says why
		}
		if !returned {
			err = e.unwound(recover())
		}
		run.conclude(output, err)
	}()
	if err = e.prepare(false); err == nil {
		output, err = e.def.call(e, e.task.Input)
	}
	returned = true
}

// conclude compares how the run ends with how it ended.
func (run *rerun) conclude(output string, err error) {
	res := &run.result
	if err != nil {
		err = run.r.sys.errors.failure(err, 0)
	}
	res.Replayed = outcomeText(run.task.Codec, &output, err)
	if len(run.journal) > 0 && !run.diverged {
		next := run.journal[0]
		run.diverge(&Divergence{
			Seq: next.Seq, Step: next.Name, Kind: "step", Recorded: stepText(next.Kind, next.Name), Replayed: "the end",
			Detail: fmt.Sprintf("the journal goes on with %s, the program ends", stepText(next.Kind, next.Name)),
		})
	}
	if res.EndsDifferently = res.Replayed != res.Recorded; res.EndsDifferently && !run.diverged {
		run.diverge(&Divergence{Kind: "output", Recorded: res.Recorded, Replayed: res.Replayed, Detail: "the run ends otherwise"})
	}
	res.Same = res.Divergence == nil
}

// diverge notes the first difference.
func (run *rerun) diverge(d *Divergence) {
	if !run.diverged {
		run.diverged, run.result.Divergence = true, d
	}
}

// stop ends the function where nothing is recorded that it could go on with.
func (run *rerun) stop(format string, args ...any) {
	run.result.Replayed = fmt.Sprintf(format, args...)
	run.result.EndsDifferently = run.result.Replayed != run.result.Recorded
	run.result.Same = run.result.Divergence == nil
	run.e.leave()
}

func stepText(kind workflow.Kind, name string) string { return fmt.Sprintf("%s %q", kind, name) }

// next is execution.next for a replay: it returns the recorded step, and after
// a divergence the next one that fits. Without a recorded step a transaction is
// done, and what gives no value but to wait is over; anything else stops the replay.
func (run *rerun) next(kind workflow.Kind, name string, digest *string) (*workflow.Step, bool) {
	e := run.e
	if e.left || e.ctx.Err() != nil {
		e.leave()
	}
	if err := abi.CheckName("dbos.step", "step", name); err != nil {
		e.refuse(err)
	}
	e.seq++
	run.result.Steps++
	if !run.diverged {
		run.compareStep(kind, name, digest)
	}
	i := slices.IndexFunc(run.journal, func(s workflow.Step) bool { return s.Kind == kind && s.Name == name })
	if i >= 0 {
		step := run.journal[i]
		run.journal = slices.Delete(run.journal, i, i+1)
		return &step, true
	}
	step := &workflow.Step{Seq: e.seq, Kind: kind, Name: name, Digest: digest, Attempts: 1, StartedAt: time.Now()}
	switch kind {
	case workflow.Transaction:
		return step, false
	case workflow.Sleep, workflow.Event:
		return step, true
	case workflow.Start:
		if id, err := encode(e.codec, "child", e.key(e.seq)); err == nil {
			step.Output = &id
			return step, true
		}
	}
	run.stop("stopped: %s has no recorded outcome", stepText(kind, name))
	return nil, false
}

// compareStep finds where the program leaves the journal.
func (run *rerun) compareStep(kind workflow.Kind, name string, digest *string) {
	e := run.e
	d := &Divergence{Seq: e.seq, Step: name, Kind: "step", Replayed: stepText(kind, name)}
	if len(run.journal) == 0 {
		if run.task.State == sched.Canceled { // in this step
			run.stop("%s", run.result.Recorded)
		}
		d.Recorded, d.Detail = "the end", fmt.Sprintf("the journal ends, the program goes on with %s", d.Replayed)
		run.diverge(d)
		return
	}
	recorded := run.journal[0]
	switch {
	case recorded.Kind != kind || recorded.Name != name || recorded.Seq != e.seq:
		d.Recorded = stepText(recorded.Kind, recorded.Name)
		d.Detail = fmt.Sprintf("the journal records %s as step %d, the program now does %s", d.Recorded, recorded.Seq, d.Replayed)
	case text(recorded.Digest) != text(digest):
		d.Kind, d.Recorded, d.Replayed = "arguments", "digest "+or(text(recorded.Digest), "none"), "digest "+or(text(digest), "none")
		d.Detail = fmt.Sprintf("%s is done with other arguments", stepText(kind, name))
	default:
		return
	}
	run.diverge(d)
}

// attempt does a transaction step's function and returns what its journal entry
// would be.
type attempt func(tx dbms.Tx, rec *recorder) attempted

type attempted struct{ output, failure *string }

// transaction has a transaction step done on the scratch copy. It returns the
// step with the outcome that it has now.
func (run *rerun) transaction(step *workflow.Step, recorded bool, do attempt) *workflow.Step {
	w := &wanted{do: do, done: make(chan struct{})}
	if recorded {
		w.commit = run.commits[step.Seq]
		w.recorded = step
	}
	w.seq, w.name = run.e.seq, step.Name
	if w.commit != nil {
		w.snapshot = w.commit.saw
	}
	select {
	case run.asks <- w:
	case <-run.e.ctx.Done():
		run.e.leave()
	}
	select {
	case <-w.done:
	case <-run.e.ctx.Done():
		run.e.leave()
	}
	step.Output, step.Error = w.outcome.output, w.outcome.failure
	return step
}

// named returns the options of a run that a transaction starts. Each takes its
// turn among those that were started then, so that one without an ID gets the one that
// it got then.
func (run *rerun) named(opts []StartOption) []StartOption {
	id := fmt.Sprintf("%s/%d/again", run.id, run.e.seq)
	if len(run.children) > 0 {
		id, run.children = run.children[0], run.children[1:]
	}
	return append([]StartOption{ID(id)}, opts...)
}

// rerunTransaction is Transaction in a replay.
func rerunTransaction[T any](ctx Context, e *execution, step *workflow.Step, recorded bool, fn func(tx *Tx) (T, error)) (T, error) {
	var value T
	step = e.again.transaction(step, recorded, func(tx dbms.Tx, rec *recorder) (a attempted) {
		defer func() {
			if v := recover(); v != nil {
				a = attempted{failure: new(e.sys.errors.store(abi.Errorf("dbos.run", abi.Panicked, "workflow "+e.task.Name, "%v", v)))}
			}
		}()
		v, err := fn(&Tx{tx: tx, sys: e.sys, ctx: ctx, run: e, rec: rec})
		if err == nil {
			var output string
			if output, err = encode(e.codec, "result of transaction "+step.Name, v); err == nil {
				return attempted{output: &output}
			}
		}
		return attempted{failure: new(e.sys.errors.store(err))}
	})
	return value, replay(e, step, &value)
}
