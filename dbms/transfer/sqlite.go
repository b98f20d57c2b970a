package transfer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// sqlite is the dialect of the embedded engine.
type sqlite struct{}

var (
	sqliteTables  = dbms.System(`SELECT l.name, s.sql, l.wr FROM pragma_table_list AS l JOIN sqlite_schema AS s ON s.name = l.name AND s.type = 'table' WHERE l.schema = 'main' AND l.type = 'table'`)
	sqliteColumns = dbms.System(`SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo($1) ORDER BY cid`)
	sqliteForeign = dbms.System(`SELECT id, "table", "from", "to", on_update, on_delete FROM pragma_foreign_key_list($1) ORDER BY id, seq`)
	sqliteUnique  = dbms.System(`SELECT l.name, i.name FROM pragma_index_list($1) AS l, pragma_index_info(l.name) AS i WHERE l.origin = 'u' ORDER BY l.seq, i.seqno`)
	sqliteIndexes = dbms.System(`SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL ORDER BY rowid`)
	sqliteCounted = dbms.System(`SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'`)
	sqliteCounter = dbms.System(`SELECT seq FROM sqlite_sequence WHERE name = $1`)
	sqliteLeft    = dbms.System(`SELECT type || ' ' || name, name FROM sqlite_schema WHERE type IN ('view', 'trigger') ORDER BY 1`)
	sqliteVirtual = dbms.System(`SELECT 'virtual table ' || name, name FROM pragma_table_list WHERE schema = 'main' AND type = 'virtual' ORDER BY 1`)
)

func (sqlite) placeholders() int { return 900 }

func (d sqlite) tables(tx dbms.Tx) ([]*table, error) {
	var list []*table
	var withRowID []bool
	definitions := map[string]string{}
	err := each(tx, sqliteTables, func(row []dbms.Value) error {
		if name := text(row[0]); isCopied(name) {
			list = append(list, &table{name: name})
			withRowID = append(withRowID, number(row[2]) == 0)
			definitions[name] = text(row[1])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, t := range list {
		if err := d.describe(tx, t, withRowID[i]); err != nil {
			return nil, err
		}
		t.checks = checksOf(definitions[t.name])
	}
	return list, nil
}

// describe fills in a table's parts.
func (d sqlite) describe(tx dbms.Tx, t *table, withRowID bool) error {
	key := map[int64]string{}
	err := each(tx, sqliteColumns, func(row []dbms.Value) error {
		if hidden := number(row[5]); hidden != 0 {
			return nil // computed
		}
		c := column{name: text(row[0]), declared: text(row[1]), notNull: number(row[2]) != 0, value: text(row[3])}
		c.class = affinity(c.declared)
		if pk := number(row[4]); pk > 0 {
			key[pk] = c.name
		}
		t.columns = append(t.columns, c)
		return nil
	}, t.name)
	if err != nil {
		return err
	}
	for i := range len(key) {
		t.primary = append(t.primary, key[int64(i+1)])
	}
	if c := t.key(); c != nil && withRowID && strings.EqualFold(c.declared, "INTEGER") {
		c.identity = true
		if err := d.counter(tx, t); err != nil {
			return err
		}
	}
	if err := d.settle(tx, t); err != nil {
		return err
	}
	return d.constraints(tx, t)
}

// key returns the column that alone is the primary key, or nil.
func (t *table) key() *column {
	if len(t.primary) != 1 {
		return nil
	}
	return t.column(t.primary[0])
}

// counter reads the number that an AUTOINCREMENT key has come to.
func (sqlite) counter(tx dbms.Tx, t *table) error {
	counted := false
	err := each(tx, sqliteCounted, func(row []dbms.Value) error { counted = number(row[0]) > 0; return nil })
	if err != nil || !counted {
		return err
	}
	return each(tx, sqliteCounter, func(row []dbms.Value) error { t.next = number(row[0]); return nil }, t.name)
}

// affinity is the class of a declared type, by SQLite's own rules; unsettled
// where the rules let anything in.
func affinity(declared string) class {
	upper := strings.ToUpper(declared)
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(upper, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("INT"):
		return integer
	case has("CHAR", "CLOB", "TEXT"):
		return textual
	case has("BLOB"):
		return blob
	case has("REAL", "FLOA", "DOUB"):
		return real
	}
	return unsettled
}

// settle decides about columns whose type says nothing, by their values.
func (sqlite) settle(tx dbms.Tx, t *table) error {
	for i := range t.columns {
		c := &t.columns[i]
		if c.class != unsettled {
			continue
		}
		var types []string
		q := dbms.System(fmt.Sprintf(`SELECT DISTINCT typeof(%s) FROM %s`, quote(c.name), quote(t.name)))
		if err := each(tx, q, func(row []dbms.Value) error { types = append(types, text(row[0])); return nil }); err != nil {
			return err
		}
		c.class = settle(types)
	}
	return nil
}

func (sqlite) constraints(tx dbms.Tx, t *table) error {
	last := int64(-1)
	err := each(tx, sqliteForeign, func(row []dbms.Value) error {
		if id := number(row[0]); id != last {
			last = id
			t.foreign = append(t.foreign, foreignKey{parent: text(row[1]), action: actions(text(row[4]), text(row[5]))})
		}
		f := &t.foreign[len(t.foreign)-1]
		f.columns = append(f.columns, text(row[2]))
		if to := text(row[3]); to != "" {
			f.referenced = append(f.referenced, to)
		}
		return nil
	}, t.name)
	if err != nil {
		return err
	}
	name := ""
	err = each(tx, sqliteUnique, func(row []dbms.Value) error {
		if n := text(row[0]); n != name {
			name = n
			t.unique = append(t.unique, nil)
		}
		t.unique[len(t.unique)-1] = append(t.unique[len(t.unique)-1], text(row[1]))
		return nil
	}, t.name)
	if err != nil {
		return err
	}
	return each(tx, sqliteIndexes, func(row []dbms.Value) error {
		t.indexes = append(t.indexes, index{text(row[0]), text(row[1])})
		return nil
	}, t.name)
}

// actions are those of a reference that do something.
func actions(update, remove string) string {
	var s string
	for _, a := range []struct{ event, do string }{{"UPDATE", update}, {"DELETE", remove}} {
		if a.do != "" && a.do != "NO ACTION" {
			s += " ON " + a.event + " " + a.do
		}
	}
	return s
}

func (sqlite) left(tx dbms.Tx) (list []string, err error) {
	for _, q := range []*dbms.Query{sqliteLeft, sqliteVirtual} {
		err := each(tx, q, func(row []dbms.Value) error {
			if isCopied(text(row[1])) {
				list = append(list, text(row[0]))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// begin are the statements before the first row: references are checked at the
// commit.
func (sqlite) begin() []string { return []string{`PRAGMA defer_foreign_keys = ON`} }

// sqliteTypes are the types of new columns.
var sqliteTypes = map[class]string{
	integer: "INTEGER", boolean: "INTEGER", moment: "INTEGER", real: "REAL", decimal: "TEXT", textual: "TEXT", document: "TEXT", blob: "BLOB",
}

func (sqlite) create(t *table) []string {
	var parts []string
	for i := range t.columns {
		c := &t.columns[i]
		c.declared = sqliteTypes[c.class]
		part := quote(c.name) + " " + c.declared
		if c.identity && t.key() == c {
			part += " PRIMARY KEY AUTOINCREMENT"
		}
		parts = append(parts, part+nullity(c)+simpleDefault(c))
	}
	if key := t.key(); len(t.primary) > 0 && (key == nil || !key.identity) {
		parts = append(parts, "PRIMARY KEY ("+quoteAll(t.primary)+")")
	}
	parts = append(parts, uniques(t)...)
	for _, f := range t.foreign {
		parts = append(parts, f.clause())
	}
	plain := parts
	for _, check := range t.checks {
		parts = append(parts, "CHECK ("+fromPostgres(check)+")")
	}
	both := []string{createTable(t, parts), createTable(t, plain)}
	if len(t.checks) == 0 {
		return both[:1]
	}
	return both
}

func createTable(t *table, parts []string) string {
	return "CREATE TABLE " + quote(t.name) + " (" + strings.Join(parts, ", ") + ")"
}

func nullity(c *column) string {
	if c.notNull {
		return " NOT NULL"
	}
	return ""
}

// simple are the defaults that every engine reads alike.
var simple = regexp.MustCompile(`^(-?\d+(\.\d+)?|'([^']|'')*'|(?i:NULL|CURRENT_TIMESTAMP))$`)

// simpleDefault is the default of a column, if it is simple. The time now is
// one of text.
func simpleDefault(c *column) string {
	value := fromPostgres(c.value)
	if c.identity || !simple.MatchString(value) || strings.EqualFold(value, "CURRENT_TIMESTAMP") && c.class != textual {
		return ""
	}
	return " DEFAULT " + value
}

func uniques(t *table) []string {
	var parts []string
	for _, columns := range t.unique {
		parts = append(parts, "UNIQUE ("+quoteAll(columns)+")")
	}
	return parts
}

func (f foreignKey) clause() string {
	s := "FOREIGN KEY (" + quoteAll(f.columns) + ") REFERENCES " + quote(f.parent)
	if len(f.referenced) > 0 {
		s += " (" + quoteAll(f.referenced) + ")"
	}
	return s + f.action
}

// What PostgreSQL writes in expressions and others do not read.
var (
	castPattern = regexp.MustCompile(`::(?:"[^"]*"|[a-z_]+(?: (?:varying|precision|without time zone|with time zone))?)(?:\([\d, ]+\))?(?:\[\])?`)
	anyPattern  = regexp.MustCompile(`= ANY \(\(?ARRAY\[([^\]]*)\]\)?\)`)
)

// fromPostgres rewrites the usual expressions of PostgreSQL's catalog.
func fromPostgres(expression string) string {
	return anyPattern.ReplaceAllString(castPattern.ReplaceAllString(expression, ""), "IN ($1)")
}

func (sqlite) extras(t *table) []extra {
	var list []extra
	for _, x := range t.indexes {
		list = append(list, extra{"index " + x.name, fromPostgres(indexPattern.ReplaceAllString(x.definition, "$1 $2"))})
	}
	return list
}

// indexPattern is what pg_get_indexdef adds: the schema and the method.
var indexPattern = regexp.MustCompile(`( ON )(?:ONLY )?(?:[a-z_0-9]+\.|"[^"]*"\.)?("[^"]*"|\S+) USING btree`)

// after are the statements after the last row.
func (sqlite) after(t *table, created bool) []string {
	if key := t.key(); !created || key == nil || !key.identity || t.next == 0 {
		return nil
	}
	name := "'" + strings.ReplaceAll(t.name, "'", "''") + "'"
	return []string{
		fmt.Sprintf(`INSERT INTO sqlite_sequence (name, seq) SELECT %s, 0 WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = %[1]s)`, name),
		fmt.Sprintf(`UPDATE sqlite_sequence SET seq = max(seq, %d) WHERE name = %s`, t.next, name),
	}
}

func (sqlite) insert(t *table, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", quote(t.name), quoteAll(t.columnNames()))
	placeholder := 0
	for row := range n {
		if row > 0 {
			b.WriteString(", ")
		}
		for i := range t.columns {
			placeholder++
			b.WriteString([]string{"(", ", "}[min(i, 1)])
			fmt.Fprintf(&b, "$%d", placeholder)
		}
		b.WriteByte(')')
	}
	return b.String()
}
