package undo

import (
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// placeRows is up to how many rows are placed one by one.
const placeRows = 64

// place makes a few rows what they shall be, each by a statement that stays
// prepared, in an order in which foreign keys hold all the time: who is referred to comes
// first and goes last. It reports whether that was possible; if not, the rows may be in any
// state, and have to be applied in another way.
func (s *stage) place(tx dbms.Tx, rows map[rowID]state) (bool, error) {
	if len(rows) > placeRows {
		return false, nil
	}
	list := make([]state, 0, len(rows))
	for _, r := range rows {
		t := s.cat.table(r.id.table)
		if t == nil || t.key == nil || t.collated {
			return false, nil
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b state) int {
		ranks := s.cat.rank(a.id.table) - s.cat.rank(b.id.table)
		switch {
		case a.row != nil && b.row != nil:
			return -ranks
		case a.row == nil && b.row == nil:
			return ranks
		case a.row != nil:
			return -1
		}
		return 1
	})
	for _, r := range list {
		t := s.cat.table(r.id.table)
		q, args := t.remove(), r.key
		if r.row != nil {
			q, args = t.put(s.cat.engine), r.row
		}
		if _, err := tx.Exec(q, arguments(args)...); err != nil {
			if fatal(err) {
				return false, err
			}
			return false, nil
		}
	}
	return true, nil
}

// put is the statement that writes a row, new or not.
func (t *table) put(engine string) *dbms.Query {
	if t.putting != nil {
		return t.putting
	}
	names := quoteAll(t.define.Columns)
	var set []string
	for i, n := range names {
		if !slices.Contains(t.key, i) {
			set = append(set, n+" = excluded."+n)
		}
	}
	overriding, do := "", " DO NOTHING"
	if engine == "postgres" {
		overriding = " OVERRIDING SYSTEM VALUE"
	}
	if len(set) > 0 {
		do = " DO UPDATE SET " + strings.Join(set, ", ")
	}
	t.putting = dbms.SQL("INSERT INTO " + quote(t.name) + " (" + strings.Join(names, ", ") + ")" + overriding + " VALUES (" + placeholders(len(names)) +
		") ON CONFLICT (" + strings.Join(t.keyNames(), ", ") + ")" + do)
	return t.putting
}

// remove is the statement that removes the row with a key.
func (t *table) remove() *dbms.Query {
	if t.removing == nil {
		t.removing = dbms.SQL("DELETE FROM " + quote(t.name) + " WHERE " + t.keyed())
	}
	return t.removing
}
