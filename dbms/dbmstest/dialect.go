package dbmstest

import (
	"fmt"
	"math"
	"regexp"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// A Dialect is what an engine's SQL has of its own. Everything else in the
// examination is SQL that all engines take.
type Dialect struct {
	// Explain is written before a statement to compile it without running it.
	Explain string
	// Types are the column types that tables are made of.
	Types []ColumnType
	// Plain is the type of a column that gives back a value exactly as it was
	// given; nil asks for one that takes any.
	Plain func(v dbms.Value) string
	// KeyTypes are what single and composite primary keys are made of.
	KeyTypes []ColumnType
	// KeylessUpdate is how many changes the update of a row without a primary
	// key is: 1, or 2 if its identity changes with it.
	KeylessUpdate int
	// TableOptions are written after a table's definition, one at a time; ""
	// is among them.
	TableOptions []string
	// Reference is what a foreign key's column has after its name, given the
	// type of the key that it refers to.
	Reference func(key string) string
	// Inserts are the verbs of an insert: "INSERT", "INSERT OR REPLACE", …,
	// and OnConflict what may follow it; "" is among them.
	Inserts, OnConflict []string
	// Updates are the verbs of an update.
	Updates []string
	// Rollback is the verb of an insert that rolls the whole transaction back
	// if its row is there; "" if the engine has none.
	Rollback string
	// Trigger returns the statements that create an application's trigger:
	// after the event (INSERT, UPDATE or DELETE) on a table it runs the body,
	// in which NEW and OLD are the row.
	Trigger func(name, event, table, body string) []string
	// Default returns the value that a definition gives to rows that were
	// there when the column was added.
	Default func(schema, column string) dbms.Value
	// Malformed are statements that only this engine does not take.
	Malformed []string
	// Forbidden are statements that no application may run.
	Forbidden []string
	// Refused are statements that nobody may run, whatever the engine says.
	Refused []string
	// Cases are scripts whose changes are difficult to follow.
	Cases []Case
}

// A ColumnType is a type of the engine with values that its columns take.
type ColumnType struct {
	Name   string
	Values []any
	// Literal and Default are a DEFAULT of the type, in SQL and as a value.
	Literal string
	Default dbms.Value
	// Touched is what a generated trigger writes into such a column, in SQL.
	Touched string
}

// A Case is a script whose changes are to be followed exactly.
type Case struct {
	Name string
	// Transactions are scripts, one a transaction. A statement that begins
	// with "?" must fail, and the transaction goes on; one that begins with
	// "~" may be refused with a hint, which ends the case; one that is
	// "ROLLBACK" ends the script and takes it back.
	Transactions [][]string
}

// anything are values of all types, at the edges of what they hold.
var anything = []any{
	nil, int64(0), int64(1), int64(-1), int64(math.MaxInt64), int64(math.MinInt64), int64(1) << 53, int64(1)<<53 + 1,
	0.0, math.Copysign(0, -1), 1.0, 0.1, -2.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), 1e18, 9.3e18,
	"", "a", "A", " 1", "1", "1.0", "0x10", "9223372036854775808", "1e3", "Ünï\u2028", "nul\x00byte", "\xff\xfe", "'", "\"$1\"",
	[]byte{}, []byte{0}, []byte("a"), []byte{0xff, 0, 0xff}, make([]byte, 5000), strings.Repeat("long ", 1000),
}

// SQLite is the dialect of SQLite: any column takes any value, whatever its
// type, and converts some.
func SQLite() Dialect {
	const touched = "'touched'"
	types := []ColumnType{
		{"INTEGER", anything, "42", int64(42), touched},
		{"TEXT", anything, "'x'", "x", touched},
		{"REAL", anything, "1", 1.0, touched},
		{"NUMERIC", anything, "'7'", int64(7), touched},
		{"BLOB", anything, "x'00ff'", []byte{0, 0xff}, touched},
		{"", anything, "NULL", nil, touched},
	}
	small := []any{int64(0), int64(1), int64(2), int64(3), int64(-1), int64(math.MaxInt64)}
	words := []any{"", "a", "A", "b", "b ", "c\x00d", int64(1), 1.0, "1", []byte("a")}
	return Dialect{
		Explain: "EXPLAIN ",
		Types:   types,
		Plain:   func(dbms.Value) string { return "" },
		KeyTypes: []ColumnType{
			{Name: "INTEGER", Values: small}, {Name: "bigint", Values: small},
			{Name: "TEXT", Values: words}, {Name: "TEXT COLLATE NOCASE", Values: words},
			{Name: "BLOB", Values: words}, {Name: "REAL", Values: words},
		},
		TableOptions:  []string{"", "", "WITHOUT ROWID"},
		KeylessUpdate: 1,
		Reference:     func(string) string { return "" }, // of no type: anything fits
		Inserts:       []string{"INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE", "REPLACE", "INSERT OR FAIL"},
		OnConflict:    []string{""},
		Updates:       []string{"UPDATE", "UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE", "UPDATE OR FAIL"},
		Rollback:      "INSERT OR ROLLBACK",
		Trigger: func(name, event, table, body string) []string {
			return []string{"CREATE TRIGGER " + quote(name) + " AFTER " + event + " ON " + quote(table) + " BEGIN " + body + "; END"}
		},
		Default:   func(schema, column string) dbms.Value { return writtenDefault(types, schema, column) },
		Malformed: []string{"SELECT"},
		Forbidden: sqliteForbidden,
		Refused:   sqliteRefused,
		Cases:     sqliteCases,
	}
}

// writtenDefault finds the column in a table's definition, and its default
// among those of the types.
func writtenDefault(types []ColumnType, schema, column string) dbms.Value {
	name := regexp.MustCompile(`"?\b` + regexp.QuoteMeta(column) + `\b"?\s+([^,)]*)`)
	found := name.FindStringSubmatch(schema)
	if found == nil {
		return fmt.Sprintf("no column %s in %s", column, schema)
	}
	written := strings.TrimSpace(found[1])
	if !strings.Contains(written, "DEFAULT") {
		return nil
	}
	for _, t := range types {
		if written == defaulted(t) {
			return t.Default
		}
	}
	return unknownDefault(written)
}

// An unknownDefault is one that no type has.
type unknownDefault string

// defaulted is a column's type with its default.
func defaulted(t ColumnType) string {
	return strings.TrimSpace(t.Name + " DEFAULT " + t.Literal)
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}
