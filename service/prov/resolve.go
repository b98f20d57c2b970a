package prov

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// Resolve finds the moment that a text names (ParseMoment). Errors of kind
// abi.NotFound (no such run, after now) and abi.Trimmed (before the retention, or
// in a gap) name the oldest and the newest moment there is.
func (s *Service) Resolve(ctx context.Context, text string) (Moment, error) {
	if _, _, err := s.Bounds(ctx); err != nil {
		return Moment{}, err
	}
	w, err := s.past(ctx)
	if err != nil {
		return Moment{}, err
	}
	return s.locate(ctx, w, text)
}

// locate is Resolve in what is spooled.
func (s *Service) locate(ctx context.Context, w past, text string) (Moment, error) {
	r := resolving{s: s, text: text, past: w, oldest: moment(w.Oldest()), newest: moment(w.Position())}
	err := s.db.View(ctx, func(tx dbms.Tx) error { r.now = tx.Now(); return nil })
	if err != nil {
		return Moment{}, err
	}
	spec, err := ParseMoment(text, r.now.In(time.Local))
	if err != nil {
		return Moment{}, err
	}
	m := r.newest
	switch {
	case spec.HasLSN:
		m, err = r.lsn(ctx, spec.LSN)
	case spec.Run != "":
		m, err = r.run(ctx, spec.Run)
	case !spec.Now:
		m, err = r.time(ctx, spec.Time)
	}
	m.Text = spec.Text
	return m, err
}

// Bounds returns the oldest and the newest moment that can be asked for. The
// newest is no older than the last commit that had returned before the call.
func (s *Service) Bounds(ctx context.Context) (oldest, newest Moment, err error) {
	if _, err := s.Flush(ctx); err != nil {
		return Moment{}, Moment{}, err
	}
	w, err := s.past(ctx)
	if err != nil {
		return Moment{}, Moment{}, err
	}
	return moment(w.Oldest()), moment(w.Position()), nil
}

// A resolving is one Resolve.
type resolving struct {
	s              *Service
	past           past
	text           string
	now            time.Time
	oldest, newest Moment
}

// fail is an error that names the bounds.
func (r *resolving) fail(kind abi.Kind, format string, args ...any) error {
	return abi.Errorf("prov.moment", kind, "moment "+strconv.Quote(r.text), "%s", fmt.Sprintf(format, args...)).
		WithHint("history goes from %s to %s", r.oldest, r.newest)
}

// lsn is the state as of an LSN: all commits up to it.
func (r *resolving) lsn(ctx context.Context, lsn dbms.LSN) (Moment, error) {
	switch {
	case lsn > r.newest.LSN:
		return Moment{}, r.fail(abi.NotFound, "it is after now: the last commit has LSN %d", r.newest.LSN)
	case lsn < r.oldest.LSN:
		return Moment{}, r.fail(abi.Trimmed, "history does not go back to it: it begins at LSN %d", r.oldest.LSN)
	case lsn == r.newest.LSN:
		return r.newest, nil
	case lsn == r.oldest.LSN:
		return r.oldest, nil
	}
	if err := r.gap(lsn); err != nil {
		return Moment{}, err
	}
	return r.commit(ctx, lsn)
}

// gap fails if nobody knows the state as of an LSN.
func (r *resolving) gap(lsn dbms.LSN) error {
	for _, g := range r.past.Status().Gaps {
		if lsn > g.After.LSN && lsn < g.Upto.LSN {
			return r.fail(abi.Trimmed, "history has a gap there, from %s to %s", moment(g.After), moment(g.Upto))
		}
	}
	return nil
}

// commit is the moment of the last commit up to an LSN, which is looked for in
// ever wider windows before it. An LSN between two commits may be that of a
// change: the state as of it would have the one half of a transaction and not
// the other.
func (r *resolving) commit(ctx context.Context, lsn dbms.LSN) (Moment, error) {
	for width := dbms.LSN(16); ; width *= 16 {
		after := max(r.oldest.LSN, lsn-width)
		commits, err := r.past.Commits(ctx, warehouse.Filter{After: after, Upto: lsn})
		if err != nil {
			return Moment{}, err
		}
		if n := len(commits); n > 0 {
			return Moment{LSN: commits[n-1].LSN, Time: commits[n-1].Time}, nil
		}
		if after == r.oldest.LSN {
			return r.oldest, nil
		}
	}
}

// time is the state as of a time: all commits up to it.
func (r *resolving) time(ctx context.Context, at time.Time) (Moment, error) {
	switch {
	case at.After(r.now):
		return Moment{}, r.fail(abi.NotFound, "%s is after now (%s)", at.Format(time.RFC3339Nano), r.now.In(at.Location()).Format(time.RFC3339Nano))
	case !at.Before(r.newest.Time):
		return r.newest, nil
	case at.Before(r.oldest.Time):
		return Moment{}, r.fail(abi.Trimmed, "history does not go back to %s: it begins at %s", at.Format(time.RFC3339Nano), r.oldest)
	}
	lsn, err := r.past.LSNAt(ctx, at)
	if err != nil {
		return Moment{}, err
	}
	if err := r.gap(lsn); err != nil {
		return Moment{}, err
	}
	return Moment{LSN: lsn, Time: at}, nil
}

// run is what a run saw: its first transaction, or that of a step.
func (r *resolving) run(ctx context.Context, id string) (Moment, error) {
	commits, err := r.past.Commits(ctx, warehouse.Filter{Execution: id, Limit: 1})
	if err != nil {
		return Moment{}, err
	}
	if len(commits) > 0 {
		return r.snapshot(ctx, commits[0])
	}
	if slash := strings.LastIndexByte(id, '/'); slash > 0 {
		step, err := strconv.Atoi(id[slash+1:])
		if err == nil && step > 0 {
			return r.step(ctx, id[:slash], step)
		}
	}
	return Moment{}, r.fail(abi.NotFound, "history has no run %s, and it is no time", id)
}

func (r *resolving) step(ctx context.Context, id string, step int) (Moment, error) {
	commits, err := r.past.Commits(ctx, warehouse.Filter{Execution: id})
	if err != nil {
		return Moment{}, err
	}
	for _, c := range commits {
		if c.Call.Step == step {
			return r.snapshot(ctx, c)
		}
	}
	if len(commits) == 0 {
		return Moment{}, r.fail(abi.NotFound, "history has no run %s", id)
	}
	return Moment{}, r.fail(abi.NotFound, "run %s has no step %d in history", id, step)
}

// snapshot is the state that a commit's transaction read.
func (r *resolving) snapshot(ctx context.Context, c warehouse.Commit) (Moment, error) {
	if c.Snapshot < r.oldest.LSN {
		return Moment{}, r.fail(abi.Trimmed, "history does not go back to what it saw (LSN %d)", c.Snapshot)
	}
	return r.lsn(ctx, c.Snapshot)
}
