package undo

import (
	"context"
	"sort"
)

// causes finds the rows because of which a commit would see a difference: if
// these were as they are, it would see none. With OnlyUntouched all of them are
// needed; else the first is enough, to tell people.
func (w *walk) causes(ctx context.Context, s sight, entries []*entry, why string) (*finding, error) {
	f := &finding{why: why, at: s.c.snapshot, rows: entries}
	if len(entries) == 1 || w.probes <= 0 {
		return f, nil
	}
	differs := func(entries []*entry) (bool, error) {
		w.probes--
		b, err := w.x.run(ctx, s.c.snapshot, repaired(entries, s.c.snapshot), s.c)
		if err != nil {
			return false, err
		}
		s.b = b
		return s.difference() != "", nil
	}
	rest := entries
	var causes []*entry
	for w.probes > 0 && len(rest) > 0 {
		// The shortest beginning of the rest that makes a difference ends with
		// a cause.
		var failure error
		n := 1 + sort.Search(len(rest)-1, func(i int) bool {
			if failure != nil {
				return true
			}
			d, err := differs(rest[:i+1])
			failure = err
			return d
		})
		if failure != nil {
			return nil, failure
		}
		causes = append(causes, rest[n-1])
		rest = append(append([]*entry{}, rest[:n-1]...), rest[n:]...)
		if w.policy != OnlyUntouched {
			f.rows = causes
			return f, nil
		}
		d, err := differs(rest)
		if err != nil {
			return nil, err
		}
		if !d {
			f.rows = causes
			return f, nil
		}
	}
	return f, nil // everything that it could have seen
}
