package undo

import (
	"cmp"
	"context"
	"slices"
	"sort"

	"github.com/dbos-go/dbos/dbms"
)

const (
	// maxProbes bounds the runs of an undo that only find causes.
	maxProbes = 5000
	// maxPool is among how many rows causes are searched.
	maxPool = 4096
)

// causes finds the rows because of which a commit would see a difference: if
// these were as they are, it would see none. With OnlyUntouched all of them are
// needed; else the first is enough, to tell people. If they cannot be found, all
// rows that the commit could have seen stand for them.
func (w *walk) causes(ctx context.Context, s sight, v view, why string) (*finding, error) {
	entries := v.entries
	f := &finding{why: why, at: v.at, rows: w.dependable(entries, v.at)}
	if len(entries) == 1 {
		return f, nil
	}
	p := probing{w: w, s: s, at: v.at, rest: slices.Clone(f.rows)}
	p.pool = s.relevant(f.rows)
	if len(p.pool) > 0 && !p.differs(ctx, p.pool) || len(p.pool) == 0 {
		p.pool = p.rest
	}
	var causes []*entry
	for p.err == nil && w.probes > 0 && len(p.pool) <= maxPool {
		causes = append(causes, p.next(ctx))
		if w.policy != OnlyUntouched || !p.differs(ctx, p.rest) {
			f.rows = causes
			return f, p.err
		}
		if len(p.pool) == 0 || !p.differs(ctx, p.pool) {
			p.pool = p.rest
		}
	}
	if w.policy != OnlyUntouched {
		f.rows = f.rows[:1]
	}
	return f, p.err
}

// dependable sorts rows so that the first of them, as many as may be, do not
// contradict the others: who is referred to comes before who refers, and goes after.
func (w *walk) dependable(entries []*entry, at dbms.LSN) []*entry {
	class := func(e *entry) (int, int) {
		rank := w.schema.rank(e.id.table)
		switch v := e.as(at); {
		case v.actual == nil:
			return 0, -rank
		case v.repaired == nil:
			return 2, rank
		}
		return 1, 0
	}
	sorted := inOrder(slices.Clone(entries))
	slices.SortStableFunc(sorted, func(a, b *entry) int {
		classA, rankA := class(a)
		classB, rankB := class(b)
		return cmp.Or(cmp.Compare(classA, classB), cmp.Compare(rankA, rankB))
	})
	return sorted
}

// A probing runs a commit's statements on parts of the repaired rows.
type probing struct {
	w          *walk
	s          sight
	at         dbms.LSN
	pool, rest []*entry // where the next cause is, and all but those found
	err        error
}

func (p *probing) differs(ctx context.Context, entries []*entry) bool {
	if p.err != nil || len(entries) == 0 {
		return false
	}
	p.w.probes--
	p.s.b, p.err = p.w.x.run(ctx, p.at, repaired(entries, p.at), p.s.c)
	// A part of the rows may contradict the others: that is no difference.
	return p.err == nil && p.s.b.broken == "" && p.s.difference() != ""
}

// next takes a cause out of the pool, which makes a difference as a whole: the
// last of the shortest beginning that does.
func (p *probing) next(ctx context.Context) *entry {
	n := sort.Search(len(p.pool)-1, func(i int) bool { return p.differs(ctx, p.pool[:i+1]) })
	cause := p.pool[n]
	p.pool = slices.DeleteFunc(slices.Clone(p.pool), func(e *entry) bool { return e == cause })
	p.rest = slices.DeleteFunc(p.rest, func(e *entry) bool { return e == cause })
	return cause
}

// relevant are the entries whose keys are among the statements' arguments and
// results: most often one of them is the cause.
func (s *sight) relevant(entries []*entry) []*entry {
	seen := map[string]bool{}
	note := func(values []dbms.Value) {
		for _, v := range values {
			seen[keyText([]dbms.Value{v})] = true
		}
	}
	for _, st := range s.c.statements {
		note(st.args)
	}
	for _, e := range []*effect{s.a, s.b} {
		for _, r := range e.results {
			for _, row := range r.rows {
				note(row)
			}
		}
	}
	var list []*entry
	for _, e := range entries {
		_, a := s.a.touched[e.id]
		_, b := s.b.touched[e.id]
		if a || b || !slices.ContainsFunc(e.key, func(v dbms.Value) bool { return !seen[keyText([]dbms.Value{v})] }) {
			list = append(list, e)
		}
	}
	return list
}
