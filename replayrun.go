package dbos

import (
	"container/heap"
	"context"
	"errors"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/service/workflow"
	"github.com/dbos-go/dbos/warehouse"
)

// Replay runs recorded runs again with this program's functions, each of their
// transactions on the state that it saw, and compares what they do with what is
// recorded. It happens on a scratch copy: nothing is changed, and external steps
// are not done but give their recorded outcome. What functions do outside of
// steps they do again. each, which may be nil, is called for every run in turn, from the
// caller's goroutine.
//
// A run that diverges goes on, to see how it would have ended: on the state of
// the transaction that diverged, with its own changes. An external step that is
// not recorded then ends the replay.
func (h *History) Replay(ctx context.Context, o ReplayOptions, each func(Replayed)) (*ReplayReport, error) {
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := h.replaying(ctx, o)
	if err != nil {
		return nil, err
	}
	r.each = func(done Replayed) {
		r.report.count(done)
		r.progress("replaying", int64(r.report.Runs+r.report.Skipped), r.total)
		if each != nil {
			each(done)
		}
	}
	for _, done := range r.skipped {
		r.each(done)
	}
	if len(r.queue) > 0 {
		if err := r.onScratch(ctx); err != nil {
			return nil, err
		}
	}
	r.report.Took = time.Since(began)
	return &r.report, nil
}

func (report *ReplayReport) count(r Replayed) {
	if r.Skipped != nil {
		report.Skipped++
		return
	}
	report.Runs++
	report.Steps += r.Steps
	if r.Same {
		report.Same++
		return
	}
	report.Diverged++
	if r.EndsDifferently {
		report.EndedDifferently++
	}
}

// A replaying is one replay of many runs, which take turns on one scratch copy:
// whose next transaction saw the oldest state goes first, so that the copy only
// moves forward. It belongs to one goroutine; each run has another, but only
// one of them all works at a time.
type replaying struct {
	sys     *System
	house   *warehouse.Warehouse
	options ReplayOptions
	each    func(Replayed)
	queue   turns
	skipped []Replayed
	total   int64
	report  ReplayReport

	commits map[string]map[int]*pastCommit // by run and step
	order   []dbms.LSN                     // of the commits, sorted
	changes changeWindow
	machine *prov.Machine
	tables  map[string]*tableShape // as they are defined now
	taskID  int                    // the place of id among the columns of taskTable
	texts   map[int64]string
}

func (r *replaying) progress(phase string, rows, total int64) {
	if r.options.Progress != nil {
		r.options.Progress(HistoryProgress{Phase: phase, Rows: rows, Total: total})
	}
}

// turns is a heap of runs by the LSN of the state that they need next.
type turns []*rerun

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].needs < t[j].needs }
func (t turns) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *turns) Push(x any)        { *t = append(*t, x.(*rerun)) }
func (t *turns) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// onScratch makes a scratch copy and replays the runs on it.
func (r *replaying) onScratch(ctx context.Context) (err error) {
	r.progress("copying", 0, 0)
	scratch, discard, err := r.sys.openScratch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, discard()) }()
	if r.machine, err = prov.NewMachine(ctx, r.sys.prov, scratch); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.machine.Close()) }()
	heap.Init(&r.queue)
	for r.queue.Len() > 0 {
		run := heap.Pop(&r.queue).(*rerun)
		if err := r.turn(ctx, run); err != nil {
			return errors.Join(err, run.endSession())
		}
	}
	return nil
}

// turn lets a run go on until its next transaction, or its end.
func (r *replaying) turn(ctx context.Context, run *rerun) error {
	asked := run.asked
	if asked == nil {
		if err := run.begin(ctx); err != nil {
			return err
		}
	} else {
		if err := r.transaction(ctx, run, asked); err != nil {
			return err
		}
		close(asked.done)
	}
	select {
	case run.asked = <-run.asks:
	case <-run.ended:
		if err := run.endSession(); err != nil {
			return err
		}
		r.each(run.result)
		return nil
	case <-ctx.Done():
		return abi.Errorf("dbos.replay", abi.KindOf(ctx.Err()), "run "+run.id, "%w", context.Cause(ctx))
	}
	run.needs = run.asked.snapshot
	if run.apart {
		run.needs = 0 // the copy stays where it is until the run has ended
	}
	heap.Push(&r.queue, run)
	return nil
}

// A wanted is a transaction that a run waits for.
type wanted struct {
	seq      int // of the step, in the program as it is now
	name     string
	snapshot dbms.LSN
	recorded *workflow.Step // what the journal has; nil, as commit, if there is none
	commit   *pastCommit
	do       attempt
	outcome  attempted
	done     chan struct{} // closed when outcome is there
}

// transaction does one transaction of a run on the copy, and compares.
func (r *replaying) transaction(ctx context.Context, run *rerun, w *wanted) error {
	if run.apart {
		return run.carryOn(ctx, w)
	}
	if w.commit == nil { // there was none: it comes after the last one
		return run.part(ctx, w, run.last)
	}
	if err := r.load(ctx, w.commit); err != nil {
		return err
	}
	states := []dbms.LSN{w.snapshot}
	if before := w.commit.LSN - 1; r.sys.db.Status().Engine == postgres.Engine && before > w.snapshot {
		// It may have seen more than the commits up to its snapshot.
		states = append(states, before)
	}
	var first *Divergence
	for _, state := range states {
		if err := r.seek(ctx, state); err != nil {
			return err
		}
		d, err := run.tryAt(ctx, w)
		if err != nil {
			return err
		}
		if first == nil {
			first = d
		}
		if d == nil {
			first = nil
			break
		}
	}
	if run.last = w.commit.LSN; first == nil {
		return nil
	}
	run.diverge(first)
	// If it changes the same rows in the same way, what follows sees what it saw.
	if err := r.seek(ctx, w.snapshot); err != nil {
		return err
	}
	same, err := run.changesSame(ctx, w)
	if err != nil || same {
		return err
	}
	return run.part(ctx, w, w.snapshot)
}
