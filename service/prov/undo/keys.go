package undo

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/dbos-go/dbos/dbms"
)

// keys sees to it that rows which got their keys from the database get those
// that they got the first time: a key is the next number, and on a repaired table that
// may be another, which is nobody's doing.
type keys struct {
	s      *stage
	tables []*keyed
	// last is the key of the row that was inserted last, and changed says that
	// some key was.
	last    int64
	changed bool
}

// keyed is a table into which the commit inserted rows.
type keyed struct {
	t     *table
	want  []int64 // the keys that they got, in order
	after int64   // what was noted up to here is done
}

func newKeys(s *stage, c *commit, reached []string) *keys {
	k := &keys{s: s}
	for _, ch := range c.changes {
		t := s.cat.table(ch.id.table)
		if t == nil || !t.automatic() || ch.before != nil || ch.after == nil || !slices.Contains(reached, t.name) {
			continue
		}
		n, ok := ch.key[0].(int64)
		if !ok {
			continue
		}
		i := slices.IndexFunc(k.tables, func(x *keyed) bool { return x.t == t })
		if i < 0 {
			i, k.tables = len(k.tables), append(k.tables, &keyed{t: t})
		}
		k.tables[i].want = append(k.tables[i].want, n)
	}
	return k
}

// follow gives the rows that a statement inserted the keys that they had, and
// returns which became which.
func (k *keys) follow(tx dbms.Tx) (map[int64]int64, error) {
	var all map[int64]int64
	for _, t := range k.tables {
		renamed, err := k.table(tx, t)
		if err != nil {
			return nil, err
		}
		for from, to := range renamed {
			if all == nil {
				all = map[int64]int64{}
			}
			all[from] = to
		}
	}
	return all, nil
}

func (k *keys) table(tx dbms.Tx, t *keyed) (map[int64]int64, error) {
	var made []int64
	err := each(tx, dbms.SQL(fmt.Sprintf("SELECT n, op, k0 FROM %s WHERE n > $1 ORDER BY n", t.t.capture())), func(r []dbms.Value) error {
		t.after = r[0].(int64)
		if n, ok := r[2].(int64); ok && r[1] == dbms.Value(int64(opInserted)) {
			made = append(made, n)
		}
		return nil
	}, t.after)
	if err != nil {
		return nil, err
	}
	renamed := map[int64]int64{}
	var order []int64
	for _, n := range made {
		if len(t.want) == 0 {
			break
		}
		k.last = t.want[0]
		if n != t.want[0] {
			renamed[n] = t.want[0]
			order = append(order, n)
		}
		t.want = t.want[1:]
	}
	// Upwards from above, downwards from below, so that none takes the place of
	// another that is about to move.
	slices.SortFunc(order, func(a, b int64) int {
		if renamed[a] > a {
			return int(b - a)
		}
		return int(a - b)
	})
	name := t.t.keyNames()[0]
	for _, n := range order {
		taken := false
		err := each(tx, dbms.SQL(fmt.Sprintf("SELECT 1 FROM %s WHERE %s = $1", quote(t.t.name), name)), func([]dbms.Value) error { taken = true; return nil }, renamed[n])
		if err != nil {
			return nil, err
		}
		if taken { // the key is somebody else's: then it cannot be what it was
			delete(renamed, n)
			continue
		}
		if _, err := tx.Exec(dbms.SQL(fmt.Sprintf("UPDATE %s SET %s = $1 WHERE %[2]s = $2", quote(t.t.name), name)), renamed[n], n); err != nil {
			if fatal(err) {
				return nil, err
			}
			delete(renamed, n)
			continue
		}
		k.changed = true
	}
	if len(order) > 0 { // what was noted meanwhile is no insert of the statement
		return renamed, each(tx, dbms.SQL("SELECT max(n) FROM "+t.t.capture()), func(r []dbms.Value) error { t.after, _ = r[0].(int64); return nil })
	}
	return renamed, nil
}

// lastKey finds the functions that give the last key.
var lastKey = regexp.MustCompile(`(?i)\b(last_insert_rowid\s*\(\s*\)|lastval\s*\(\s*\)|currval\s*\([^)]*\))`)

// ahead makes PostgreSQL give the next row the key that it had. A sequence does
// not go back with the transaction, and nothing else uses those of the copy.
func (k *keys) ahead(tx dbms.Tx) error {
	for _, t := range k.tables {
		if k.s.cat.engine != "postgres" || len(t.want) == 0 || t.want[0] < 1 {
			continue
		}
		if err := each(tx, nextKey, func([]dbms.Value) error { return nil }, quote(t.t.name), t.t.define.KeyColumns[0], t.want[0]); err != nil {
			return err
		}
	}
	return nil
}

var nextKey = dbms.System(`SELECT setval(name::regclass, $3::bigint, false) FROM (SELECT pg_get_serial_sequence($1::text, $2::text) AS name) AS s WHERE name IS NOT NULL`)

// substitute returns a statement that finds the last key as it was.
func (k *keys) substitute(text string) string {
	if !k.changed {
		return text
	}
	return lastKey.ReplaceAllLiteralString(text, strconv.FormatInt(k.last, 10))
}
