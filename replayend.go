package dbos

import (
	"cmp"
	"context"
	"errors"

	"github.com/dbos-go/dbos/dbms"
)

// A session is a transaction of the scratch copy that stays open over several
// steps of a run that has diverged, so that it sees its own changes and nobody else does.
type session struct {
	jobs  chan func(tx dbms.Tx)
	ended chan error
}

func openSession(ctx context.Context, db dbms.DB) *session {
	s := &session{jobs: make(chan func(tx dbms.Tx)), ended: make(chan error, 1)}
	go func() {
		_, err := db.Update(ctx, replayCall, func(tx dbms.Tx) error {
			for job := range s.jobs {
				job(tx)
			}
			return errReplayed
		})
		if errors.Is(err, errReplayed) {
			err = nil
		}
		s.ended <- err
	}()
	return s
}

// do runs a job in the transaction.
func (s *session) do(job func(tx dbms.Tx)) error {
	done := make(chan struct{})
	select {
	case s.jobs <- func(tx dbms.Tx) { defer close(done); job(tx) }:
		<-done
		return nil
	case err := <-s.ended:
		s.ended <- err
		return err
	}
}

// endSession takes back what the run's session has done, if there is one.
func (run *rerun) endSession() error {
	s := run.session
	if s == nil {
		return nil
	}
	run.session = nil
	close(s.jobs)
	return <-s.ended
}

// part does a transaction that changes other rows than the recorded one did, or
// that there was not. From here on the run has the copy for itself, as of that
// state, with its own changes.
func (run *rerun) part(ctx context.Context, w *wanted, state dbms.LSN) error {
	run.apart = true
	if state = cmp.Or(state, run.started()); state != 0 {
		if err := run.r.seek(ctx, state); err != nil {
			return err
		}
	}
	return run.carryOn(ctx, w)
}

// started is the state in which the run began, or 0.
func (run *rerun) started() (first dbms.LSN) {
	for _, c := range run.commits {
		if first == 0 || c.saw < first {
			first = c.saw
		}
	}
	return first
}

// carryOn does a transaction of a run that is apart, after its earlier ones.
func (run *rerun) carryOn(ctx context.Context, w *wanted) error {
	if run.session == nil {
		run.session = openSession(ctx, run.r.machine.DB())
	}
	if w.commit != nil {
		if err := run.r.load(ctx, w.commit); err != nil {
			return err
		}
	}
	if err := run.session.do(func(tx dbms.Tx) { run.perform(tx, w) }); err != nil {
		return err
	}
	if w.outcome.failure == nil {
		run.applied = append(run.applied, w)
		return nil
	}
	// A failed transaction has changed nothing: go back to before it.
	failed := w.outcome
	if err := run.endSession(); err != nil {
		return err
	}
	run.session = openSession(ctx, run.r.machine.DB())
	for _, earlier := range run.applied {
		if err := run.session.do(func(tx dbms.Tx) { run.perform(tx, earlier) }); err != nil {
			return err
		}
	}
	w.outcome = failed
	return nil
}
