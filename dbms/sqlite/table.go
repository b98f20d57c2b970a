package sqlite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// A table is the definition of a tracked table.
type table struct {
	name    string
	root    int64 // page, which stays the same when the table is renamed
	sql     string
	columns []string // that are stored: no generated ones
	types   []string // of columns, as declared
	key     []string // primary key; none if the table has none
	// nullable are the key columns in which SQLite would allow NULL.
	nullable []string
	alias    bool   // the key is an alias of the rowid
	rowid    string // a name of the rowid that no column has; "" if there is none
	// cascades says that an update may change the row again before its
	// triggers run (ON UPDATE actions), so that NEW is not the row.
	cascades bool
	// marks says that such a change of the row may come from a change of its
	// own key (a foreign key to the table itself): see numbers.
	marks bool
}

// readTables reads the definitions of all tracked tables. It takes those over
// from known whose definition is the same.
func readTables(c *conn, known map[string]*table) (map[string]*table, error) {
	tables := map[string]*table{}
	err := c.scan(`SELECT l.name, l.wr, m.rootpage, m.sql FROM pragma_table_list AS l
		JOIN sqlite_schema AS m ON m.type = 'table' AND m.name = l.name
		WHERE l.schema = 'main' AND l.type = 'table'`, func(r dbms.Rows) error {
		var t table
		var withoutRowid bool
		if err := r.Scan(&t.name, &withoutRowid, &t.root, &t.sql); err != nil || !tracked(t.name) {
			return err
		}
		name := strings.ToLower(t.name)
		if old := known[name]; old != nil && old.sql == t.sql && old.root == t.root {
			tables[name] = old
			return nil
		}
		tables[name] = &t
		return t.read(c, withoutRowid)
	})
	return tables, err
}

// read fills in columns and keys.
func (t *table) read(c *conn, withoutRowid bool) error {
	var pks []int
	var types []string
	all := map[string]bool{}
	err := c.scan("SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo($1)", func(r dbms.Rows) error {
		var name, sort string
		var notNull bool
		var pk, hidden int
		if err := r.Scan(&name, &sort, &notNull, &pk, &hidden); err != nil {
			return err
		}
		all[strings.ToLower(name)] = true
		if hidden != 0 {
			return nil
		}
		t.columns, t.types = append(t.columns, name), append(t.types, sort)
		if pk > 0 {
			pks, types = append(pks, pk), append(types, sort)
			t.key = append(t.key, name)
			if !notNull && !withoutRowid {
				t.nullable = append(t.nullable, name)
			}
		}
		return nil
	}, t.name)
	if err != nil {
		return err
	}
	t.orderKey(pks)
	t.alias = !withoutRowid && len(t.key) == 1 && strings.EqualFold(types[0], "INTEGER")
	if t.alias {
		t.nullable = nil
	}
	if !withoutRowid {
		for _, name := range []string{"rowid", "_rowid_", "oid"} {
			if !all[name] {
				t.rowid = name
				break
			}
		}
	}
	return c.scan(`SELECT count(*) > 0, coalesce(max(lower("table") = lower($1)), 0) FROM pragma_foreign_key_list($1)
		WHERE on_update NOT IN ('NO ACTION', 'RESTRICT')`, func(r dbms.Rows) error {
		return r.Scan(&t.cascades, &t.marks)
	}, t.name)
}

// orderKey puts the key's columns in the key's order.
func (t *table) orderKey(pks []int) {
	key := make([]string, len(t.key))
	for i, pk := range pks {
		key[pk-1] = t.key[i]
	}
	t.key = key
}

// check refuses what history could not record.
func (t *table) check() error {
	for _, column := range t.columns {
		if strings.HasPrefix(strings.ToLower(column), "dbos_") {
			return reservedColumn(t, column)
		}
	}
	return nil
}

// keyColumns are the names of the values that identify a row.
func (t *table) keyColumns() []string {
	if len(t.key) == 0 {
		return []string{rowidColumn}
	}
	return t.key
}

// rowidColumn is the history column that identifies the rows of a table
// without a primary key.
const rowidColumn = "dbos_rowid"

func (t *table) history() string { return quote("h_" + t.name) }

// triggers returns the statements that create the table's triggers.
func (t *table) triggers() []string {
	create := func(kind, when, body string) string {
		return "CREATE TRIGGER " + quote("h_"+t.name+kind) + " " + when + " ON " + quote(t.name) + " " + body
	}
	list := []string{
		create("_insert", "AFTER INSERT", "BEGIN "+t.guard()+t.record("dbos_seq()", "'insert'")+" END"),
		create("_delete", "AFTER DELETE", "BEGIN "+t.recordDelete("dbos_seq()", "")+" END"),
	}
	if !t.marks {
		return append(list, create("_update", "AFTER UPDATE", "BEGIN "+t.guard()+
			t.recordDelete("dbos_seq()", t.rekeyed())+t.record("dbos_seq()", t.updateOp())+" END"))
	}
	old, new := t.identity("OLD"), t.identity("NEW")
	return append(list,
		create("_mark", "BEFORE UPDATE", "WHEN "+t.rekeyed()+" BEGIN SELECT dbos_mark("+old+", "+new+"); END"),
		create("_update", "AFTER UPDATE", "BEGIN "+t.guard()+"SELECT dbos_inner("+old+"); "+
			t.recordDelete("dbos_take(0, "+old+", "+new+")", t.rekeyed())+
			t.into()+"SELECT "+t.newRow("dbos_take(1, "+old+", "+new+")", "'insert'")+" WHERE "+t.rekeyed()+"; "+
			t.into()+t.selectRow("dbos_seq()", "'update'")+" WHERE NOT ("+t.rekeyed()+") AND "+t.isNew()+"; END"))
}

// identity lists the values that identify a row in a trigger.
func (t *table) identity(row string) string {
	if len(t.key) == 0 {
		return row + "." + t.rowid
	}
	var values []string
	for _, column := range t.key {
		values = append(values, row+"."+quote(column))
	}
	return strings.Join(values, ", ")
}

// guard refuses NULL in a primary key, which SQLite allows for historical
// reasons: such a row has no identity, and no other database would take it.
func (t *table) guard() string {
	var b strings.Builder
	for _, column := range t.nullable {
		fmt.Fprintf(&b, "SELECT RAISE(ABORT, %s) WHERE NEW.%s IS NULL; ",
			literal("NULL in primary key column "+column+" of table "+t.name), quote(column))
	}
	return b.String()
}

// updateOp is the expression for what an update was: one that changes the
// row's identity is a delete, recorded before, and an insert.
func (t *table) updateOp() string {
	return "CASE WHEN " + t.rekeyed() + " THEN 'insert' ELSE 'update' END"
}

// rekeyed is the condition that an update changed the row's identity.
func (t *table) rekeyed() string {
	if len(t.key) == 0 {
		return "OLD." + t.rowid + " <> NEW." + t.rowid
	}
	if t.alias {
		return "OLD." + quote(t.key[0]) + " <> NEW." + quote(t.key[0])
	}
	var terms []string
	for _, column := range t.key {
		q := quote(column)
		// Exactly: not by the column's collation, and 1 is not 1.0.
		terms = append(terms, fmt.Sprintf("OLD.%s IS NOT NEW.%s COLLATE BINARY OR typeof(OLD.%s) <> typeof(NEW.%s)", q, q, q, q))
	}
	return strings.Join(terms, " OR ")
}

// record is the statement that records the row as it is after a change; seq
// and op are SQL expressions.
func (t *table) record(seq, op string) string {
	if t.cascades {
		return t.into() + t.selectRow(seq, op) + " WHERE " + t.isNew() + ";"
	}
	return t.into() + "VALUES (" + t.newRow(seq, op) + ");"
}

func (t *table) into() string { return "INSERT INTO " + t.history() + " (" + t.names() + ") " }

func (t *table) names() string {
	names := []string{"dbos_seq", "dbos_op"}
	if len(t.key) == 0 {
		names = append(names, rowidColumn)
	}
	for _, column := range t.columns {
		names = append(names, quote(column))
	}
	return strings.Join(names, ", ")
}

// newRow lists the values of a history row from a trigger's NEW.
func (t *table) newRow(seq, op string) string {
	values := []string{seq, op}
	if len(t.key) == 0 {
		values = append(values, "NEW."+t.rowid)
	}
	for _, column := range t.columns {
		values = append(values, "NEW."+quote(column))
	}
	return strings.Join(values, ", ")
}

// selectRow selects rows of the table as history rows.
func (t *table) selectRow(seq, op string) string {
	values := []string{seq, op}
	if len(t.key) == 0 {
		values = append(values, t.rowid)
	}
	for _, column := range t.columns {
		values = append(values, quote(column))
	}
	return "SELECT " + strings.Join(values, ", ") + " FROM " + quote(t.name)
}

// isNew is the condition that a row is the one that a trigger is about.
func (t *table) isNew() string {
	if t.rowid != "" {
		return t.rowid + " = NEW." + t.rowid
	}
	var terms []string
	for _, column := range t.key {
		terms = append(terms, quote(column)+" = NEW."+quote(column))
	}
	return strings.Join(terms, " AND ")
}

// recordDelete is the statement that records, if a condition holds, that the
// row of the old key is gone.
func (t *table) recordDelete(seq, when string) string {
	names := []string{"dbos_seq", "dbos_op"}
	values := []string{seq, "'delete'"}
	if len(t.key) == 0 {
		names, values = append(names, rowidColumn), append(values, "OLD."+t.rowid)
	}
	for _, column := range t.key {
		names, values = append(names, quote(column)), append(values, "OLD."+quote(column))
	}
	into := "INSERT INTO " + t.history() + " (" + strings.Join(names, ", ") + ") "
	if when == "" {
		return into + "VALUES (" + strings.Join(values, ", ") + "); "
	}
	return into + "SELECT " + strings.Join(values, ", ") + " WHERE " + when + "; "
}

// copyRows is the statement that records the rows a table has already.
func (t *table) copyRows() string {
	return t.into() + t.selectRow("dbos_seq()", "'insert'")
}

// indexOf returns the position of a column's name, in any case of letters.
func indexOf(columns []string, name string) int {
	return slices.IndexFunc(columns, func(c string) bool { return strings.EqualFold(c, name) })
}
