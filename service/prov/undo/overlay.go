package undo

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// An overlay is where the repaired history differs from the actual one: the
// rows that are not what they would be, as of every LSN that was walked.
type overlay struct {
	tables map[string]map[string]*entry // by table and rowID.key
	log    []logged                     // what was set, in the order of LSNs
}

// An entry is one row.
type entry struct {
	id       rowID
	key      []dbms.Value
	versions []version // ascending
}

type logged struct {
	lsn dbms.LSN
	e   *entry
}

// A version is what a row is from an LSN on.
type version struct {
	lsn              dbms.LSN
	actual, repaired row
	differs          bool // the two
	// origin is the work that made the difference.
	origin *work
}

// tainted reports whether the row differs.
func (v *version) tainted() bool { return v != nil && v.differs }

// repairedOr is the repaired row, or r if nothing is known.
func (v *version) repairedOr(r row) row {
	if v == nil {
		return r
	}
	return v.repaired
}

// latest is after every LSN.
const latest = dbms.LSN(1<<63 - 1)

// get returns the version of a row as of an LSN, or nil if nothing is known of
// it: then it is as it was.
func (o *overlay) get(id rowID, at dbms.LSN) *version {
	e := o.tables[id.table][id.key]
	if e == nil {
		return nil
	}
	return e.as(at)
}

func (e *entry) as(at dbms.LSN) *version {
	for i := len(e.versions) - 1; i >= 0; i-- {
		if e.versions[i].lsn <= at {
			return &e.versions[i]
		}
	}
	return nil
}

// set says what a row is from a commit on, which is not before any that was
// set. origin may be nil if the row is what it would be.
func (o *overlay) set(lsn dbms.LSN, id rowID, key []dbms.Value, actual, repaired row, origin *work) {
	e := o.tables[id.table][id.key]
	v := version{lsn: lsn, actual: actual, repaired: repaired, differs: !sameRow(actual, repaired), origin: origin}
	if e == nil {
		if !v.tainted() {
			return
		}
		if o.tables == nil {
			o.tables = map[string]map[string]*entry{}
		}
		if o.tables[id.table] == nil {
			o.tables[id.table] = map[string]*entry{}
		}
		e = &entry{id: id, key: key}
		o.tables[id.table][id.key] = e
	}
	if n := len(e.versions); n > 0 && e.versions[n-1].lsn == lsn {
		e.versions[n-1] = v
		return
	}
	e.versions = append(e.versions, v)
	o.log = append(o.log, logged{lsn, e})
}

// rewind forgets everything after an LSN.
func (o *overlay) rewind(to dbms.LSN) {
	for n := len(o.log); n > 0 && o.log[n-1].lsn > to; n-- {
		e := o.log[n-1].e
		e.versions = e.versions[:len(e.versions)-1]
		if len(e.versions) == 0 {
			delete(o.tables[e.id.table], e.id.key)
			if len(o.tables[e.id.table]) == 0 {
				delete(o.tables, e.id.table)
			}
		}
		o.log = o.log[:n-1]
	}
}

// anyDiffers reports whether an entry of the tables is tainted as of an LSN.
func (o *overlay) anyDiffers(at dbms.LSN, tables []string) bool {
	for _, t := range tables {
		for _, e := range o.tables[t] {
			if e.as(at).tainted() {
				return true
			}
		}
	}
	return false
}

// differs returns the entries of tables that are tainted as of an LSN, in no
// order. Without tables it returns all.
func (o *overlay) differs(at dbms.LSN, tables []string) []*entry {
	var list []*entry
	add := func(rows map[string]*entry) {
		for _, e := range rows {
			if e.as(at).tainted() {
				list = append(list, e)
			}
		}
	}
	if tables == nil {
		for _, rows := range o.tables {
			add(rows)
		}
	}
	for _, t := range tables {
		add(o.tables[t])
	}
	return list
}

// inOrder sorts entries by table and key.
func inOrder(list []*entry) []*entry {
	slices.SortFunc(list, func(a, b *entry) int {
		return cmp.Or(strings.Compare(a.id.table, b.id.table), strings.Compare(a.id.key, b.id.key))
	})
	return list
}

// repaired are the entries' rows as they would be as of an LSN.
func repaired(entries []*entry, at dbms.LSN) []state {
	states := make([]state, len(entries))
	for i, e := range entries {
		v := e.as(at)
		states[i] = state{e.id, e.key, v.repaired, v.actual}
	}
	return states
}
