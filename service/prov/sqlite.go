package prov

import (
	"fmt"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// sqliteDialect is the embedded engine's.
type sqliteDialect struct{}

var (
	sqliteColumns = dbms.System(`SELECT name, upper(type), hidden FROM pragma_table_xinfo($1) ORDER BY cid`)
	sqliteIndexes = dbms.System(`
		SELECT i.name, i.origin, i.partial, coalesce((SELECT json_group_array(x.name) FROM (SELECT name FROM pragma_index_xinfo(i.name) WHERE key = 1 ORDER BY seqno) AS x), '[]'),
			(SELECT count(*) FROM pragma_index_xinfo(i.name) WHERE key = 1 AND coll <> 'BINARY')
		FROM pragma_index_list($1) AS i WHERE i."unique" = 1`)
	sqliteTriggers = dbms.System(`
		SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name NOT LIKE 'h\_%' ESCAPE '\'
			AND lower(tbl_name) IN (SELECT lower(value) FROM json_each($1)) ORDER BY rowid`)
	// The tables, and those that refer to them.
	sqliteRelated = dbms.System(`
		SELECT DISTINCT m.name FROM sqlite_schema AS m JOIN pragma_foreign_key_list(m.name) AS f
		WHERE m.type = 'table' AND (lower(m.name) IN (SELECT lower(value) FROM json_each($1)) OR lower(f."table") IN (SELECT lower(value) FROM json_each($1)))`)
	sqliteExtras = dbms.System(`
		SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('index', 'view', 'trigger') AND sql IS NOT NULL AND name NOT LIKE 'h\_%' ESCAPE '\'
		ORDER BY CASE type WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid`)
	sqliteObjects = dbms.System(`
		SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'table') AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE 'h\_%' ESCAPE '\'
			AND name NOT LIKE 'dbos\_%' ESCAPE '\' ORDER BY type DESC, rowid DESC`)
	sqliteBroken = dbms.System(`SELECT c."table", c.rowid, c.parent FROM pragma_foreign_key_check($1) AS c LIMIT 10`)
)

func (sqliteDialect) shape(tx dbms.Tx, t dbms.Change) (*shape, error) {
	s := &shape{name: t.Table, key: t.KeyColumns, exact: true}
	all := map[string]bool{}
	types := map[string]string{}
	err := each(tx, sqliteColumns, func(row []dbms.Value) error {
		name := textOf(row[0])
		all[strings.ToLower(name)] = true
		types[name] = textOf(row[1])
		if numberOf(row[2]) == 0 {
			s.columns = append(s.columns, shapeColumn{name: name})
		}
		return nil
	}, t.Table)
	if err != nil {
		return nil, err
	}
	if len(t.KeyColumns) == 1 && s.position(t.KeyColumns[0]) < 0 {
		for _, name := range []string{"rowid", "_rowid_", "oid"} {
			if !all[name] {
				s.place = name
				break
			}
		}
	}
	for _, i := range s.keyPositions() {
		if untyped(types[s.columns[i].name]) {
			s.exact = false // 1 and 1.0 are one key
		}
	}
	err = each(tx, sqliteIndexes, func(row []dbms.Value) error {
		if textOf(row[1]) == "pk" {
			s.exact = s.exact && numberOf(row[4]) == 0
			return nil
		}
		s.unique(textOf(row[3]), numberOf(row[2]) != 0)
		return nil
	}, t.Table)
	return s, err
}

// untyped reports whether a column of the declared type takes 1 and 1.0 as they
// are.
func untyped(declared string) bool {
	return declared == "" || strings.Contains(declared, "BLOB") || declared == "ANY"
}

func (sqliteDialect) rows(columns int) int { return max(1, min(200, 30_000/max(1, columns))) }

// piece takes all that fit or a power of eight, so that few statements are prepared.
func (sqliteDialect) piece(n, most int) int {
	if n >= most {
		return most
	}
	for p := 64; ; p /= 8 {
		if p <= n {
			return p
		}
	}
}

func (sqliteDialect) placed() bool { return true }

func (sqliteDialect) write(s *shape, n int, over bool) string {
	var b strings.Builder
	names := quoteAll(s.names())
	width := len(s.columns)
	conflict := quoteAll(s.key)
	if s.place != "" {
		names, width, conflict = s.place+", "+names, width+1, s.place
	}
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", quote(s.name), names)
	placeholders(&b, n, width)
	if over {
		fmt.Fprintf(&b, " ON CONFLICT (%s) DO ", conflict)
		b.WriteString(s.overwrite())
	}
	return b.String()
}

// overwrite is what an upsert does with a row that is there.
func (s *shape) overwrite() string {
	var sets []string
	key := s.keyPositions()
	for i, c := range s.columns {
		if !containsInt(key, i) {
			sets = append(sets, quote(c.name)+" = excluded."+quote(c.name))
		}
	}
	if len(sets) == 0 {
		return "NOTHING"
	}
	return "UPDATE SET " + strings.Join(sets, ", ")
}

func containsInt(list []int, n int) bool {
	for _, i := range list {
		if i == n {
			return true
		}
	}
	return false
}

// placeholders writes n rows of placeholders.
func placeholders(b *strings.Builder, n, width int) {
	p := 0
	for row := range n {
		if row > 0 {
			b.WriteByte(',')
		}
		for i := range width {
			p++
			b.WriteByte("(,"[min(i, 1)])
			fmt.Fprintf(b, "$%d", p)
		}
		b.WriteByte(')')
	}
}

func (d sqliteDialect) remove(s *shape, n int) string { return "DELETE" + d.match(s, n) }

func (d sqliteDialect) count(s *shape, n int) string { return "SELECT count(*)" + d.match(s, n) }

// match is the rest of a statement over the rows of n keys.
func (sqliteDialect) match(s *shape, n int) string {
	var b strings.Builder
	key := quoteAll(s.key)
	switch {
	case s.place != "":
		key = s.place
	case len(s.key) > 1:
		key = "(" + key + ")"
	}
	fmt.Fprintf(&b, " FROM %s WHERE %s IN (VALUES ", quote(s.name), key)
	placeholders(&b, n, len(s.key))
	b.WriteByte(')')
	return b.String()
}

func (sqliteDialect) args(_ []shapeColumn, values []any) []any { return values }

func (sqliteDialect) quiet(tx dbms.Tx, tables []string) (func() error, error) {
	var create, drop []string
	err := each(tx, sqliteTriggers, func(row []dbms.Value) error {
		drop = append(drop, "DROP TRIGGER "+quote(textOf(row[0])))
		create = append(create, textOf(row[1]))
		return nil
	}, jsonList(tables))
	if err != nil {
		return nil, err
	}
	// It has no effect where they are off altogether: see DB.UpdateExclusive.
	if err := execAll(tx, "PRAGMA defer_foreign_keys = ON"); err != nil {
		return nil, err
	}
	return func() error { return execAll(tx, create...) }, execAll(tx, drop...)
}

func (sqliteDialect) check(tx dbms.Tx, tables []string) ([]string, error) {
	var related, broken []string
	err := each(tx, sqliteRelated, func(row []dbms.Value) error {
		related = append(related, textOf(row[0]))
		return nil
	}, jsonList(tables))
	if err != nil {
		return nil, err
	}
	for _, table := range related {
		err := each(tx, sqliteBroken, func(row []dbms.Value) error {
			where := ""
			if row[1] != nil {
				where = fmt.Sprintf(" (row %d)", numberOf(row[1]))
			}
			broken = append(broken, fmt.Sprintf("%s%s refers to a row of %s that is not there", textOf(row[0]), where, textOf(row[2])))
			return nil
		}, table)
		if err != nil {
			return nil, err
		}
	}
	return broken, nil
}

func (sqliteDialect) continued(*shape) []string { return nil } // SQLite sees to it itself

func (sqliteDialect) extras(tx dbms.Tx) (before, after []extra, err error) {
	err = each(tx, sqliteExtras, func(row []dbms.Value) error {
		if !IsService(textOf(row[2])) {
			after = append(after, extra{textOf(row[0]) + " " + textOf(row[1]), textOf(row[3])})
		}
		return nil
	})
	return nil, after, err
}

func (sqliteDialect) drops(tx dbms.Tx) (list []string, err error) {
	err = each(tx, sqliteObjects, func(row []dbms.Value) error {
		if name := textOf(row[1]); !IsService(name) {
			list = append(list, "DROP "+strings.ToUpper(textOf(row[0]))+" "+quote(name))
		}
		return nil
	})
	return list, err
}
