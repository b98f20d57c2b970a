package dbmstest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// A schema is the generator's knowledge of the tables: enough to write
// statements that mostly succeed. It is a value: clone before changing.
type schema struct {
	dialect Dialect
	tables  map[string]tableSpec
	names   int // given out
}

type tableSpec struct {
	name    string
	columns []columnSpec
	keys    int    // the first columns are the primary key
	parent  string // a table that the first column after the key refers to
}

type columnSpec struct {
	name    string
	typ     string
	values  []any
	touched string // what a trigger writes, in SQL
	fixed   bool   // part of a constraint: cannot be dropped
}

func (s schema) clone() schema {
	s.tables = maps.Clone(s.tables)
	return s
}

// columns are the columns by table.
func (s schema) columns() map[string][]string {
	all := map[string][]string{}
	for name, t := range s.tables {
		for _, c := range t.columns {
			all[name] = append(all[name], c.name)
		}
	}
	return all
}

func (s *schema) fresh(prefix string) string {
	s.names++
	return fmt.Sprintf("%s%d", prefix, s.names)
}

// pick draws a table.
func (s *schema) pick(t *rapid.T) tableSpec {
	return s.tables[rapid.SampledFrom(slices.Sorted(maps.Keys(s.tables))).Draw(t, "table")]
}

// pickOther draws a table other than the log, into which the triggers write.
func (s *schema) pickOther(t *rapid.T) tableSpec {
	names := slices.Sorted(maps.Keys(s.tables))
	names = slices.DeleteFunc(names, func(name string) bool { return name == logTable })
	return s.tables[rapid.SampledFrom(names).Draw(t, "table")]
}

// logTable is the table into which generated triggers write. It is always
// there.
const logTable = "log"

func newSchema(d Dialect) schema {
	what := columnSpec{name: "what", values: []any{"a", "b"}}
	return schema{dialect: d, tables: map[string]tableSpec{logTable: {name: logTable, columns: []columnSpec{what}}}}
}

// define draws a change of definitions and makes it in s.
func (s *schema) define(t *rapid.T) []command {
	if len(s.tables) == 1 {
		return s.create(t, s.fresh("t"))
	}
	switch n := rapid.IntRange(0, 9).Draw(t, "definition"); {
	case n < 2 && len(s.tables) < 6:
		return s.create(t, s.fresh("t"))
	case n < 4:
		return s.addColumn(t)
	case n == 4:
		return s.renameColumn(t)
	case n == 5:
		return s.dropColumn(t)
	case n == 6:
		return s.renameTable(t)
	case n == 7:
		return s.trigger(t)
	default:
		table := s.pickOther(t)
		delete(s.tables, table.name)
		drop := []command{{kind: "drop table", sql: "DROP TABLE " + quote(table.name), ddl: true}}
		if n == 8 {
			return drop
		}
		again := s.create(t, table.name)
		again[0].kind = "recreate table"
		return append(drop, again...)
	}
}

// create draws a table: without key, with a key of one or several columns,
// with a unique column, with a foreign key.
func (s *schema) create(t *rapid.T, name string) []command {
	table := tableSpec{name: name, keys: rapid.SampledFrom([]int{0, 1, 1, 1, 2}).Draw(t, "key columns")}
	var parts, key []string
	for range table.keys {
		c, typ := s.column(t, s.dialect.KeyTypes)
		c.fixed = true
		table.columns, key = append(table.columns, c), append(key, quote(c.name))
		if table.keys == 1 {
			typ += " PRIMARY KEY"
		}
		parts = append(parts, quote(c.name)+" "+typ+" NOT NULL")
	}
	parents := s.parents()
	if table.keys == 1 {
		parents = append(parents, name) // itself
	}
	if len(parents) > 0 && rapid.Bool().Draw(t, "child") {
		parent := s.tables[rapid.SampledFrom(parents).Draw(t, "parent")]
		if parent.name == "" {
			parent = table
		}
		table.parent = parent.name
		key := parent.columns[0]
		c := columnSpec{name: s.fresh("c"), typ: s.dialect.Reference(key.typ), values: append([]any{nil}, key.values...), fixed: true}
		table.columns = append(table.columns, c)
		action := rapid.SampledFrom([]string{"CASCADE", "SET NULL"})
		parts = append(parts, fmt.Sprintf("%s %s REFERENCES %s (%s) ON DELETE %s ON UPDATE %s", quote(c.name), c.typ,
			quote(parent.name), quote(key.name), action.Draw(t, "on delete"), action.Draw(t, "on update")))
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "other columns") {
		c, typ := s.column(t, s.dialect.Types)
		if i == 0 && rapid.IntRange(0, 3).Draw(t, "unique") == 0 {
			typ, c.fixed = typ+" UNIQUE", true
			c.values = c.values[:6] // few, so that they meet
		}
		table.columns = append(table.columns, c)
		parts = append(parts, quote(c.name)+" "+typ)
	}
	if table.keys > 1 {
		parts = append(parts, "PRIMARY KEY ("+strings.Join(key, ", ")+")")
	}
	option := ""
	if table.keys > 0 {
		option = rapid.SampledFrom(s.dialect.TableOptions).Draw(t, "option")
	}
	s.tables[name] = table
	sql := fmt.Sprintf("CREATE TABLE %s (%s) %s", quote(name), strings.Join(parts, ", "), option)
	return []command{{kind: "create table", sql: strings.TrimSpace(sql), ddl: true}}
}

// parents are the tables that a foreign key can refer to.
func (s *schema) parents() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		if s.tables[name].keys == 1 {
			names = append(names, name)
		}
	}
	return names
}

func (s *schema) column(t *rapid.T, types []ColumnType) (columnSpec, string) {
	typ := rapid.SampledFrom(types).Draw(t, "type")
	return typ.column(s.fresh("c")), typ.Name
}

func (typ ColumnType) column(name string) columnSpec {
	return columnSpec{name: name, typ: typ.Name, values: typ.Values, touched: typ.Touched}
}

func (s *schema) addColumn(t *rapid.T) []command {
	table := s.pickOther(t)
	typ := rapid.SampledFrom(s.dialect.Types).Draw(t, "type")
	c := typ.column(s.fresh("c"))
	table.columns = append(slices.Clip(table.columns), c)
	s.tables[table.name] = table
	sql := fmt.Sprintf("ALTER TABLE %s ADD COLUMN %s %s", quote(table.name), quote(c.name), defaulted(typ))
	return []command{{kind: "add column", sql: sql, ddl: true}}
}

func (s *schema) renameColumn(t *rapid.T) []command {
	table := s.pickOther(t)
	at := rapid.IntRange(0, len(table.columns)-1).Draw(t, "column")
	old, name := table.columns[at].name, s.fresh("c")
	table.columns = slices.Clone(table.columns)
	table.columns[at].name = name
	s.tables[table.name] = table
	sql := fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO %s", quote(table.name), quote(old), quote(name))
	return []command{{kind: "rename column", sql: sql, ddl: true}}
}

func (s *schema) dropColumn(t *rapid.T) []command {
	table := s.pickOther(t)
	at := slices.IndexFunc(table.columns, func(c columnSpec) bool { return !c.fixed })
	if at < 0 || len(table.columns) < 2 {
		return s.addColumn(t)
	}
	name := table.columns[at].name
	table.columns = slices.Delete(slices.Clone(table.columns), at, at+1)
	s.tables[table.name] = table
	sql := fmt.Sprintf("ALTER TABLE %s DROP COLUMN %s", quote(table.name), quote(name))
	return []command{{kind: "drop column", sql: sql, ddl: true}}
}

func (s *schema) renameTable(t *rapid.T) []command {
	table := s.pickOther(t)
	old, name := table.name, s.fresh("t")
	table.name = name
	delete(s.tables, old)
	s.tables[name] = table
	for child, spec := range s.tables {
		if spec.parent == old {
			spec.parent = name
			s.tables[child] = spec
		}
	}
	return []command{{kind: "rename table", sql: fmt.Sprintf("ALTER TABLE %s RENAME TO %s", quote(old), quote(name)), ddl: true}}
}

// trigger draws a trigger that writes down what happened, or one that changes
// the inserted row again.
func (s *schema) trigger(t *rapid.T) []command {
	table := s.pickOther(t)
	event := rapid.SampledFrom([]string{"INSERT", "UPDATE", "DELETE"}).Draw(t, "event")
	body := "INSERT INTO " + logTable + " (what) VALUES ('" + event + "')"
	if table.keys > 0 && event == "INSERT" {
		key := quote(table.columns[0].name)
		last := table.columns[len(table.columns)-1]
		if !last.fixed {
			body = fmt.Sprintf("UPDATE %s SET %s = %s WHERE %s = NEW.%s", quote(table.name), quote(last.name), last.touched, key, key)
		}
	}
	var commands []command
	for _, sql := range s.dialect.Trigger(s.fresh("trigger"), event, table.name, body) {
		commands = append(commands, command{kind: "create trigger", sql: sql, ddl: true})
	}
	return commands
}
