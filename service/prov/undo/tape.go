package undo

import (
	"context"
	"sort"

	"github.com/dbos-go/dbos/dbms"
)

// A history is where commits come from.
type history interface {
	// commits returns the commits after an LSN and up to another, in order, at
	// most limit of them.
	commits(ctx context.Context, after, upto dbms.LSN, limit int) ([]*commit, error)
	// first returns the LSN of an execution's first commit, or 0.
	first(ctx context.Context, execution string) (dbms.LSN, error)
}

const (
	// tapeBatch is how many commits are read at once.
	tapeBatch = 1000
	// tapeChanges is how many changes are kept, so that going back a little is
	// cheap.
	tapeChanges = 200_000
)

// A tape is a history of which the part around where it is read stays in
// memory.
type tape struct {
	h        history
	from, to dbms.LSN // what is in memory: all commits in (from, to]
	loaded   []*commit
	changes  int
}

func newTape(h history, from dbms.LSN) *tape { return &tape{h: h, from: from, to: from} }

// next returns the first commit after an LSN, or nil if there is none up to
// another.
func (t *tape) next(ctx context.Context, after, upto dbms.LSN) (*commit, error) {
	if after < t.from || after > t.to {
		t.from, t.to, t.loaded, t.changes = after, after, nil, 0
	}
	for {
		if i := t.search(after); i < len(t.loaded) {
			if c := t.loaded[i]; c.lsn <= upto {
				return c, nil
			}
			return nil, nil
		}
		if t.to >= upto {
			return nil, nil
		}
		if err := t.load(ctx, upto); err != nil {
			return nil, err
		}
	}
}

// search returns the index of the first commit after an LSN.
func (t *tape) search(after dbms.LSN) int {
	return sort.Search(len(t.loaded), func(i int) bool { return t.loaded[i].lsn > after })
}

// load reads on, and forgets the oldest if there is too much.
func (t *tape) load(ctx context.Context, upto dbms.LSN) error {
	list, err := t.h.commits(ctx, t.to, upto, tapeBatch)
	if err != nil {
		return err
	}
	drop := 0
	for ; drop < len(t.loaded) && t.changes > tapeChanges; drop++ {
		t.changes -= len(t.loaded[drop].changes)
		t.from = t.loaded[drop].lsn
	}
	t.loaded = append(t.loaded[:0:0], t.loaded[drop:]...)
	for _, c := range list {
		t.changes += len(c.changes)
	}
	t.loaded = append(t.loaded, list...)
	if len(list) < tapeBatch {
		t.to = upto
	} else {
		t.to = list[len(list)-1].lsn
	}
	return nil
}

// between returns what rows become on the way from one state to another,
// which may be the earlier one, and how many commits that is.
func (t *tape) between(ctx context.Context, from, to dbms.LSN) (rows map[rowID]state, commits int, err error) {
	rows = map[rowID]state{}
	low, high := min(from, to), max(from, to)
	for ; ; commits++ {
		c, err := t.next(ctx, low, high)
		if err != nil || c == nil {
			return rows, commits, err
		}
		for _, ch := range c.changes {
			if from < to {
				rows[ch.id] = state{id: ch.id, key: ch.key, row: ch.after}
			} else if _, known := rows[ch.id]; !known {
				rows[ch.id] = state{id: ch.id, key: ch.key, row: ch.before}
			}
		}
		low = c.lsn
	}
}
