package dbos

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov/undo"
	"github.com/dbos-go/dbos/service/sched"
)

// Fork makes a system of its own, as of a moment, at a URL where there is none
// yet. Its unfinished runs go on when it is launched. progress may be nil.
func (h *History) Fork(ctx context.Context, at, url string, progress func(HistoryProgress)) (report *ForkReport, err error) {
	_, m, err := h.at(ctx, at)
	if err != nil {
		return nil, err
	}
	made := missing(url)
	target, err := openServices(ctx, url, dbms.Options{Timeout: copyTime, Logger: h.sys.log})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err = errors.Join(err, target.Close()); err != nil {
			report = nil
			if made != "" { // half a system is of no use
				err = errors.Join(err, os.RemoveAll(made))
			}
		}
	}()
	if report, err = h.sys.prov.Fork(ctx, m, target, progress); err != nil {
		return nil, err
	}
	// Nobody executes its runs, least of all who did in the original.
	tasks, err := sched.New(ctx, target)
	if err != nil {
		return nil, err
	}
	return report, tasks.Alone(ctx, h.sys.call("prov.fork", h.sys.principal(ctx)), func(tx dbms.Tx) error {
		_, err := tasks.Requeue(tx)
		return err
	})
}

// missing returns the directory of a URL if it is one that is not there.
func missing(url string) string {
	if engineOf(url) != "sqlite" {
		return ""
	}
	dir := strings.TrimPrefix(strings.TrimPrefix(url, "file:"), "//")
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return dir
}

// PlanRestore says what Restore would do, and does nothing.
func (h *History) PlanRestore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	if err := h.Flush(ctx); err != nil {
		return nil, err
	}
	return h.sys.prov.PlanRestore(ctx, o)
}

// Restore puts tables back to a moment, as one recorded transaction, which
// another restore takes back. Runs that were unfinished then go on from there, on all
// nodes; what they are doing now does not count. The principal is the context's
// unless the options name one.
func (h *History) Restore(ctx context.Context, o RestoreOptions) (*RestorePlan, error) {
	if err := h.Flush(ctx); err != nil {
		return nil, err
	}
	s := h.sys
	if o.Principal == "" {
		o.Principal = s.principal(ctx)
	}
	o.Before, o.After = inTurn(o.Before, s.tasks.RaiseGround), inTurn(o.After, s.putBack)
	return s.prov.Restore(ctx, o)
}

// inTurn does one thing after the other. The first may be nil.
func inTurn(first, second func(tx dbms.Tx) error) func(tx dbms.Tx) error {
	return func(tx dbms.Tx) error {
		if first != nil {
			if err := first(tx); err != nil {
				return err
			}
		}
		return second(tx)
	}
}

// restored is the topic of restores.
const restored = "prov.restored"

// putBack ends the work in progress, in the transaction that puts everything
// back: executions are fenced, whoever waits looks again, and nobody believes an
// outcome from before.
func (s *System) putBack(tx dbms.Tx) error {
	if _, err := s.tasks.Requeue(tx); err != nil {
		return err
	}
	s.outcomes.clear() // before anybody can see the state that they are not of
	tx.Notify(restored)
	tx.Notify(dbms.AllTopics)
	return nil
}

// watchRestored is the goroutine that makes restores reach this process.
func (s *System) watchRestored() {
	w := s.db.Watch(restored)
	defer w.Close()
	for {
		select {
		case <-w.C():
		case <-s.ctx.Done():
			return
		}
		s.outcomes.clear()
		signal(s.recheck)
	}
}

// PlanUndo says what Undo would do, and does nothing.
func (h *History) PlanUndo(ctx context.Context, o UndoOptions) (*UndoPlan, error) {
	if err := h.Flush(ctx); err != nil {
		return nil, err
	}
	return undo.PlanUndo(ctx, h.sys.prov, h.sys.openScratch, o)
}

// Undo takes back what chosen runs, principals or functions did, and what
// followed from it, as one recorded transaction. With the policy UndoAbort and work that followed
// it returns the plan and an error of kind abi.Conflict.
func (h *History) Undo(ctx context.Context, o UndoOptions) (*UndoPlan, error) {
	if err := h.Flush(ctx); err != nil {
		return nil, err
	}
	if o.By == "" {
		o.By = h.sys.principal(ctx)
	}
	if o.Cancel == nil {
		o.Cancel = func(tx dbms.Tx, run string) (bool, error) { return h.sys.callOff(tx, run, o.By) }
	}
	return undo.Do(ctx, h.sys.prov, h.sys.openScratch, o)
}

// callOff cancels an undone run, if it is unfinished.
func (s *System) callOff(tx dbms.Tx, id string, by abi.Principal) (bool, error) {
	t, err := s.tasks.Get(tx, id)
	if err != nil || t.State.Final() {
		return false, err
	}
	cause := abi.Errorf("dbos.undo", abi.Canceled, "run "+id, "it was undone by %s: %w", by, context.Canceled)
	return true, s.tasks.Cancel(tx, id, s.errors.store(cause))
}
