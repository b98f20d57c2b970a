package undo

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

var (
	sqliteObjects = dbms.System(`SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE type IN ('view', 'trigger') AND sql IS NOT NULL ORDER BY rowid`)
	sqliteForeign = dbms.System(`SELECT id, "table", "from", "to", on_delete, on_update FROM pragma_foreign_key_list($1) ORDER BY id, seq`)

	postgresBodies = dbms.System(`
		SELECT viewname::text, definition::text FROM pg_views WHERE schemaname = current_schema()
		UNION ALL SELECT matviewname::text, definition::text FROM pg_matviews WHERE schemaname = current_schema()
		UNION ALL SELECT proname::text, coalesce(prosrc, '')::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace`)
	postgresTriggers = dbms.System(`
		SELECT c.relname::text, t.tgname::text, pg_get_triggerdef(t.oid), coalesce(p.prosrc, '')::text
		FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS p ON p.oid = t.tgfoid
		WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal ORDER BY t.tgname`)
	postgresForeign = dbms.System(`
		SELECT c.relname::text, p.relname::text, k.conname::text, k.confdeltype::text, k.confupdtype::text,
			(SELECT json_agg(a.attname ORDER BY n.place)::text FROM unnest(k.conkey) WITH ORDINALITY AS n (number, place)
				JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.number),
			(SELECT json_agg(a.attname ORDER BY n.place)::text FROM unnest(k.confkey) WITH ORDINALITY AS n (number, place)
				JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.number)
		FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS p ON p.oid = k.confrelid
		WHERE k.contype = 'f' AND c.relnamespace = current_schema()::regnamespace ORDER BY k.conname`)
)

// isOwnTrigger reports whether a trigger is the engine's, or this package's.
func isOwnTrigger(name string) bool {
	return !isApplication(name) || strings.HasPrefix(name, "0_dbos_")
}

func (c *catalog) readSQLite(tx dbms.Tx) error {
	err := each(tx, sqliteObjects, func(row []dbms.Value) error {
		name, on, sql := text(row[1]), strings.ToLower(text(row[2])), text(row[3])
		switch t := c.tables[on]; {
		case text(row[0]) == "view":
			c.bodies[strings.ToLower(name)] = words(sql)
		case t != nil && !isOwnTrigger(name):
			t.triggers = append(t.triggers, trigger{name, sql})
			t.triggerWords = append(t.triggerWords, words(sql))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range c.tables {
		last := int64(-1)
		err := each(tx, sqliteForeign, func(row []dbms.Value) error {
			if id, _ := row[0].(int64); id != last {
				last = id
				t.parents = append(t.parents, foreignKey{parent: text(row[1]), onDelete: text(row[4]), onUpdate: text(row[5])})
			}
			f := &t.parents[len(t.parents)-1]
			f.columns = append(f.columns, text(row[2]))
			if to := text(row[3]); to != "" {
				f.referenced = append(f.referenced, to)
			}
			return nil
		}, t.name)
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *catalog) readPostgres(tx dbms.Tx) error {
	err := each(tx, postgresBodies, func(row []dbms.Value) error {
		if name := strings.ToLower(text(row[0])); isApplication(name) {
			c.bodies[name] = append(c.bodies[name], words(text(row[1]))...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = each(tx, postgresTriggers, func(row []dbms.Value) error {
		t := c.table(text(row[0]))
		if name := text(row[1]); t != nil && !isOwnTrigger(name) {
			t.triggers = append(t.triggers, trigger{name, text(row[2])})
			t.triggerWords = append(t.triggerWords, words(text(row[3])))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return each(tx, postgresForeign, func(row []dbms.Value) error {
		t := c.table(text(row[0]))
		if t == nil {
			return nil
		}
		f := foreignKey{parent: text(row[1]), name: text(row[2]), onDelete: text(row[3]), onUpdate: text(row[4])}
		for i, list := range []*[]string{&f.columns, &f.referenced} {
			if err := json.Unmarshal([]byte(text(row[5+i])), list); err != nil {
				return abi.Errorf("prov.undo", abi.Corrupt, "foreign key "+f.name, "%w", err)
			}
		}
		t.parents = append(t.parents, f)
		return nil
	})
}

var (
	sqliteDefaults   = dbms.System(`SELECT name, dflt_value FROM pragma_table_info($1) WHERE dflt_value IS NOT NULL`)
	postgresDefaults = dbms.System(`
		SELECT a.attname::text, pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
		JOIN pg_class AS c ON c.oid = d.adrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = $1::text AND a.attgenerated = '' AND pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval(%'`)
)

// readDefaults reads what columns have that rows say nothing about. It is what
// rows from before a column have in it.
func (c *catalog) readDefaults(tx dbms.Tx) error {
	q := sqliteDefaults
	if c.engine == "postgres" {
		q = postgresDefaults
	}
	for _, name := range c.names() {
		t := c.tables[name]
		t.defaults = make([]dbms.Value, len(t.define.Columns))
		expressions := map[int]string{}
		err := each(tx, q, func(row []dbms.Value) error {
			if i := slices.Index(t.define.Columns, text(row[0])); i >= 0 {
				expressions[i] = text(row[1])
			}
			return nil
		}, t.name)
		if err != nil {
			return err
		}
		for i, expression := range expressions {
			err := each(tx, dbms.System("SELECT "+expression), func(row []dbms.Value) error { t.defaults[i] = row[0]; return nil })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// each runs a query and calls fn for each row.
func each(tx dbms.Tx, q *dbms.Query, fn func(row []dbms.Value) error, args ...any) error {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scan returns the values of the current row.
func scan(rows dbms.Rows) ([]dbms.Value, error) {
	n := len(rows.Columns())
	row, dest := make([]dbms.Value, n), make([]any, n)
	for i := range row {
		dest[i] = (*any)(&row[i])
	}
	err := rows.Scan(dest...)
	return row, err
}

func text(v dbms.Value) string {
	s, _ := v.(string)
	return s
}
