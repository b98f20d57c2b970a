package dbmstest

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// A command is one generated statement.
type command struct {
	kind string
	sql  string
	args []any
	ddl  bool
}

// change draws a statement that changes rows.
func (s *schema) change(t *rapid.T) command {
	table := s.pick(t)
	switch n := rapid.IntRange(0, 9).Draw(t, "change"); {
	case n < 5:
		return s.insert(t, table)
	case n < 6 && table.keys > 0:
		return s.upsert(t, table)
	case n < 7:
		return s.update(t, table, min(table.keys, len(table.columns)-1), len(table.columns)-1)
	case n < 8 && table.keys > 0:
		return s.update(t, table, 0, table.keys-1)
	default:
		return remove(t, table)
	}
}

func value(t *rapid.T, c columnSpec) any {
	return rapid.SampledFrom(c.values).Draw(t, c.name)
}

// insert draws an insert of one or more rows.
func (s *schema) insert(t *rapid.T, table tableSpec) command {
	verb := rapid.SampledFrom(s.dialect.Inserts).Draw(t, "verb")
	conflict := rapid.SampledFrom(s.dialect.OnConflict).Draw(t, "on conflict")
	c := command{kind: "insert", sql: verb + " INTO " + quote(table.name) + " VALUES "}
	if verb != "INSERT" || conflict != "" {
		c.kind = "insert or replace, or ignore"
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "rows") {
		if i > 0 {
			c.sql += ", "
		}
		c.sql += "(" + c.placeholders(t, table.columns) + ")"
	}
	c.sql += conflict
	return c
}

// placeholders adds an argument for each column.
func (c *command) placeholders(t *rapid.T, columns []columnSpec) string {
	var list []string
	for _, column := range columns {
		c.args = append(c.args, value(t, column))
		list = append(list, fmt.Sprintf("$%d", len(c.args)))
	}
	return strings.Join(list, ", ")
}

// upsert draws an insert that updates the row that is there, sometimes its
// key too.
func (s *schema) upsert(t *rapid.T, table tableSpec) command {
	var key []string
	for _, column := range table.columns[:table.keys] {
		key = append(key, quote(column.name))
	}
	c := command{kind: "upsert", sql: "INSERT INTO " + quote(table.name) + " VALUES ("}
	c.sql += c.placeholders(t, table.columns) + ") ON CONFLICT (" + strings.Join(key, ", ") + ") DO UPDATE SET "
	at := rapid.IntRange(0, len(table.columns)-1).Draw(t, "column")
	c.sql += quote(table.columns[at].name) + " = " + c.placeholders(t, table.columns[at:at+1])
	return c
}

// update draws an update of one of some columns.
func (s *schema) update(t *rapid.T, table tableSpec, first, last int) command {
	at := rapid.IntRange(first, last).Draw(t, "column")
	verb := rapid.SampledFrom(s.dialect.Updates).Draw(t, "verb")
	c := command{kind: "update", sql: verb + " " + quote(table.name) + " SET " + quote(table.columns[at].name) + " = "}
	if at < table.keys {
		c.kind = "update of a key"
	}
	c.sql += c.placeholders(t, table.columns[at:at+1]) + c.where(t, table)
	return c
}

func remove(t *rapid.T, table tableSpec) command {
	c := command{kind: "delete", sql: "DELETE FROM " + quote(table.name)}
	c.sql += c.where(t, table)
	return c
}

// where draws a condition: one value of the first column, or rarely none.
func (c *command) where(t *rapid.T, table tableSpec) string {
	column := quote(table.columns[0].name)
	switch rapid.IntRange(0, 7).Draw(t, "rows") {
	case 0:
		return ""
	case 1:
		return " WHERE " + column + " > " + c.placeholders(t, table.columns[:1])
	default:
		return " WHERE " + column + " = " + c.placeholders(t, table.columns[:1])
	}
}
