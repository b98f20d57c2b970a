package transfer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// postgres is the dialect of PostgreSQL. The schema of the system is the
// first of the search path.
type postgres struct{}

var (
	postgresTables  = dbms.System(`SELECT c.oid::bigint, c.relname::text FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition`)
	postgresColumns = dbms.System(`
		SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), y.typname::text, a.attnotnull, a.attidentity::text, pg_get_expr(d.adbin, d.adrelid)
		FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`)
	postgresConstraints = dbms.System(`
		SELECT k.contype::text, k.confupdtype::text, k.confdeltype::text, p.relname::text, pg_get_constraintdef(k.oid),
			(SELECT json_agg(a.attname ORDER BY n.place)::text FROM unnest(k.conkey) WITH ORDINALITY AS n (number, place)
				JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.number),
			(SELECT json_agg(a.attname ORDER BY n.place)::text FROM unnest(k.confkey) WITH ORDINALITY AS n (number, place)
				JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.number)
		FROM pg_constraint AS k LEFT JOIN pg_class AS p ON p.oid = k.confrelid WHERE k.conrelid = $1::bigint::oid ORDER BY k.conname`)
	postgresIndexes = dbms.System(`
		SELECT i.relname::text, pg_get_indexdef(x.indexrelid) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
		WHERE x.indrelid = $1::bigint::oid AND NOT EXISTS (SELECT 1 FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid)
		ORDER BY i.relname`)
	// A service's counter may be hidden from the reader; its largest key will do.
	postgresCounter = dbms.System(`
		SELECT CASE WHEN has_sequence_privilege(s.name, 'SELECT') THEN pg_sequence_last_value(s.name::regclass) END
		FROM (SELECT pg_get_serial_sequence(quote_ident($1::text), $2::text) AS name) AS s WHERE s.name IS NOT NULL`)
	postgresLeft = dbms.System(`
		SELECT CASE relkind WHEN 'v' THEN 'view ' ELSE 'materialized view ' END || relname, relname::text
		FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('v', 'm')
		UNION ALL
		SELECT 'trigger ' || t.tgname || ' of ' || c.relname, t.tgname::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal
		UNION ALL
		SELECT 'function ' || proname, proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace ORDER BY 1`)
)

func (postgres) placeholders() int { return 4000 }

func (d postgres) tables(tx dbms.Tx) ([]*table, error) {
	var list []*table
	var oids []int64
	err := each(tx, postgresTables, func(row []dbms.Value) error {
		if name := text(row[1]); isCopied(name) {
			list, oids = append(list, &table{name: name}), append(oids, number(row[0]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, t := range list {
		if err := d.describe(tx, t, oids[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (d postgres) describe(tx dbms.Tx, t *table, oid int64) error {
	err := each(tx, postgresColumns, func(row []dbms.Value) error {
		c := column{name: text(row[0]), declared: text(row[1]), notNull: number(row[3]) != 0, value: text(row[5])}
		c.class, c.bits = classOf(text(row[2]))
		c.identity = text(row[4]) != "" || strings.HasPrefix(c.value, "nextval(")
		t.columns = append(t.columns, c)
		return nil
	}, oid)
	if err != nil {
		return err
	}
	err = each(tx, postgresConstraints, func(row []dbms.Value) error { return t.constrain(row) }, oid)
	if err != nil {
		return err
	}
	err = each(tx, postgresIndexes, func(row []dbms.Value) error {
		t.indexes = append(t.indexes, index{text(row[0]), text(row[1])})
		return nil
	}, oid)
	if err != nil {
		return err
	}
	for _, c := range t.columns {
		if !c.identity {
			continue
		}
		err := each(tx, postgresCounter, func(row []dbms.Value) error { t.next = max(t.next, number(row[0])); return nil }, t.name, c.name)
		if err != nil {
			return err
		}
	}
	return nil
}

// classOf returns the class of a type, and the bits of an integer.
func classOf(typname string) (class, int) {
	switch typname {
	case "int2":
		return integer, 16
	case "int4":
		return integer, 32
	case "int8":
		return integer, 64
	case "oid":
		return integer, 33
	case "bool":
		return boolean, 0
	case "float4", "float8":
		return real, 0
	case "numeric":
		return decimal, 0
	case "bytea":
		return blob, 0
	case "timestamptz":
		return moment, 0
	case "json", "jsonb":
		return document, 0
	}
	return textual, 0
}

// constrain notes one constraint.
func (t *table) constrain(row []dbms.Value) error {
	var columns, referenced []string
	for i, list := range []*[]string{&columns, &referenced} {
		if s := text(row[5+i]); s != "" {
			if err := json.Unmarshal([]byte(s), list); err != nil {
				return abi.Errorf("transfer.catalog", abi.Corrupt, "table "+t.name, "its constraints: %w", err)
			}
		}
	}
	switch text(row[0]) {
	case "p":
		t.primary = columns
	case "u":
		t.unique = append(t.unique, columns)
	case "f":
		names := map[string]string{"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
		t.foreign = append(t.foreign, foreignKey{
			columns: columns, parent: text(row[3]), referenced: referenced, action: actions(names[text(row[1])], names[text(row[2])]),
		})
	case "c":
		check := strings.TrimPrefix(text(row[4]), "CHECK ")
		t.checks = append(t.checks, strings.TrimSuffix(strings.TrimPrefix(check, "("), ")"))
	}
	return nil
}

func (postgres) left(tx dbms.Tx) (list []string, err error) {
	err = each(tx, postgresLeft, func(row []dbms.Value) error {
		if isCopied(text(row[1])) {
			list = append(list, text(row[0]))
		}
		return nil
	})
	return list, err
}

func (postgres) begin() []string { return nil }

// postgresTypes are the types of new columns. Bytes are compared, as SQLite
// does, and not by a language's rules.
var postgresTypes = map[class]string{
	integer: "bigint", boolean: "boolean", moment: "timestamptz", real: "double precision", decimal: "numeric",
	textual: `text COLLATE "C"`, document: "jsonb", blob: "bytea",
}

func (postgres) create(t *table) []string {
	var parts []string
	for i := range t.columns {
		c := &t.columns[i]
		c.declared = postgresTypes[c.class]
		c.bits = 64
		part := quote(c.name) + " " + c.declared + nullity(c)
		if c.identity {
			part += " GENERATED BY DEFAULT AS IDENTITY"
		}
		parts = append(parts, part+simpleDefault(c))
	}
	if len(t.primary) > 0 {
		parts = append(parts, "PRIMARY KEY ("+quoteAll(t.primary)+")")
		for _, name := range t.primary {
			t.column(name).notNull = true
		}
	}
	return []string{createTable(t, append(parts, uniques(t)...))}
}

func (postgres) extras(t *table) []extra {
	var list []extra
	for i, check := range t.checks {
		list = append(list, extra{fmt.Sprintf("check %d of %s", i+1, t.name), fmt.Sprintf("ALTER TABLE %s ADD CHECK (%s)", quote(t.name), check)})
	}
	for i := range t.columns {
		if c := &t.columns[i]; c.value != "" && !c.identity && simpleDefault(c) == "" {
			list = append(list, extra{fmt.Sprintf("default of %s.%s", t.name, c.name),
				fmt.Sprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", quote(t.name), quote(c.name), c.value)})
		}
	}
	for _, x := range t.indexes {
		list = append(list, extra{"index " + x.name, x.definition})
	}
	return list
}

// after adds the references of a table that was created, and lets identity
// columns continue.
func (postgres) after(t *table, created bool) []string {
	var list []string
	if created {
		for _, f := range t.foreign {
			list = append(list, "ALTER TABLE "+quote(t.name)+" ADD "+f.clause())
		}
	}
	for _, c := range t.columns {
		if c.identity {
			list = append(list, fmt.Sprintf(
				`SELECT setval(pg_get_serial_sequence('%s', '%s'), greatest(%d, (SELECT max(%s) FROM %s)), true) WHERE %[3]d > 0 OR EXISTS (SELECT 1 FROM %[5]s)`,
				strings.ReplaceAll(quote(t.name), "'", "''"), strings.ReplaceAll(c.name, "'", "''"), t.next, quote(c.name), quote(t.name)))
		}
	}
	return list
}

func (postgres) insert(t *table, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES ", quote(t.name), quoteAll(t.columnNames()))
	placeholder := 0
	for row := range n {
		if row > 0 {
			b.WriteString(", ")
		}
		for i := range t.columns {
			placeholder++
			b.WriteString([]string{"(", ", "}[min(i, 1)])
			b.WriteString(value(&t.columns[i], placeholder))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// value is the expression of a column's value, with the type of the argument
// written out so that a NULL makes no other statement.
func value(c *column, placeholder int) string {
	switch c.class {
	case integer:
		return fmt.Sprintf("$%d::bigint", placeholder)
	case boolean:
		return fmt.Sprintf("$%d::bigint <> 0", placeholder)
	case real:
		return fmt.Sprintf("$%d::double precision", placeholder)
	case blob:
		return fmt.Sprintf("$%d::bytea", placeholder)
	case moment:
		return fmt.Sprintf("timestamptz 'epoch' + $%d::bigint * interval '1 microsecond'", placeholder)
	case decimal:
		return fmt.Sprintf("$%d::text::numeric", placeholder)
	}
	if declared, _, _ := strings.Cut(c.declared, " COLLATE"); declared != "text" {
		return fmt.Sprintf("$%d::text::%s", placeholder, declared)
	}
	return fmt.Sprintf("$%d::text", placeholder)
}
