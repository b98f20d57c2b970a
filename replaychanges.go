package dbos

import (
	"context"
	"slices"
	"sort"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/warehouse"
)

// A changeWindow has what a stretch of commits changed, so that many small
// steps through history take one question to the column store.
type changeWindow struct {
	after, upto dbms.LSN
	list        []warehouse.Change // by their commits
	defined     bool               // the tables were defined alike all the time
}

const (
	// windowCommits is how many of the replayed commits are in a window.
	windowCommits = 200
	// windowSpan is about how many commits there may be in it of all.
	windowSpan = 20_000
)

// span is about how many commits lie between two LSNs.
func (r *replaying) span(from, to dbms.LSN) dbms.LSN {
	if r.sys.db.Status().Engine == postgres.Engine {
		return (to - from) / 1_000_000
	}
	return to - from
}

// window makes sure that the changes of a commit are known, those since
// the state that it saw, and, if they are not too many, those since where the copy is.
func (r *replaying) window(ctx context.Context, c *pastCommit) error {
	w := &r.changes
	after := min(c.saw, c.Snapshot)
	if at := r.machine.At(); at < after && r.span(at, after) < windowSpan {
		after = at
	}
	if w.upto >= c.LSN && w.after <= after {
		return nil
	}
	i, _ := slices.BinarySearch(r.order, c.LSN)
	upto := c.LSN
	for _, lsn := range r.order[i:min(i+windowCommits, len(r.order))] {
		if r.span(after, lsn) < windowSpan {
			upto = max(upto, lsn)
		}
	}
	list, err := r.house.ChangesOf(ctx, after, upto)
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b warehouse.Change) int { return int(a.Commit - b.Commit) })
	r.changes = changeWindow{after: after, upto: upto, list: list}
	return nil
}

// between returns the changes of commits after an LSN and up to another.
func (w *changeWindow) between(after, upto dbms.LSN) []warehouse.Change {
	first := sort.Search(len(w.list), func(i int) bool { return w.list[i].Commit > after })
	last := sort.Search(len(w.list), func(i int) bool { return w.list[i].Commit > upto })
	return w.list[first:max(first, last)]
}

// load gives a commit its changes.
func (r *replaying) load(ctx context.Context, c *pastCommit) error {
	if c.loaded {
		return nil
	}
	if err := r.window(ctx, c); err != nil {
		return err
	}
	c.loaded = true
	for _, change := range r.changes.between(c.LSN-1, c.LSN) {
		switch {
		case change.Table == taskTable && change.Op == dbms.Insert:
			c.children = append(c.children, r.childOf(change.After))
		case !prov.IsService(change.Table):
			c.changes = append(c.changes, change)
		}
	}
	return nil
}

// seek moves the copy: by the changes that are known, if they lead there.
func (r *replaying) seek(ctx context.Context, lsn dbms.LSN) error {
	w, at := &r.changes, r.machine.At()
	if lsn <= at || w.after > at || w.upto < lsn {
		return r.machine.Seek(ctx, lsn)
	}
	if !w.defined {
		var err error
		if w.defined, err = r.machine.Defined(ctx, w.upto); err != nil {
			return err
		}
		if !w.defined {
			return r.machine.Seek(ctx, lsn)
		}
	}
	return r.machine.Forward(ctx, lsn, w.between(at, lsn))
}
