package prov

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// postgresDialect is PostgreSQL's.
type postgresDialect struct{}

var (
	postgresColumns = dbms.System(`
		SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attidentity::text,
			(WITH RECURSIVE b AS (SELECT t.oid, t.typtype, t.typbasetype FROM pg_type AS t WHERE t.oid = a.atttypid
				UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM b JOIN pg_type AS t ON b.typtype = 'd' AND t.oid = b.typbasetype)
			SELECT format_type(oid, NULL) FROM b WHERE typtype <> 'd'),
			coalesce((SELECT NOT collisdeterministic FROM pg_collation WHERE oid = a.attcollation), false) OR a.atttypid::regtype::text LIKE '%citext'
		FROM pg_attribute AS a WHERE a.attrelid = (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = $1::text)
			AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`)
	postgresIndexes = dbms.System(`
		SELECT x.indisprimary, x.indimmediate, x.indpred IS NOT NULL OR x.indexprs IS NOT NULL OR x.indisexclusion,
			(SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]')::text FROM pg_attribute AS a WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey))
		FROM pg_index AS x WHERE (x.indisunique OR x.indisexclusion)
			AND x.indrelid = (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname = $1::text)`)
	postgresTriggers = dbms.System(`
		SELECT c.relname::text, t.tgname::text, t.tgenabled::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY (ARRAY(SELECT json_array_elements_text($1::json)))
			AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgname NOT LIKE '0\_dbos\_%' AND t.tgparentid = 0 ORDER BY 1, 2`)
	postgresForeign = dbms.System(`
		SELECT c.relname::text, k.conname::text, pg_get_constraintdef(k.oid) FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS p ON p.oid = k.confrelid
		WHERE k.contype = 'f' AND k.conparentid = 0 AND c.relnamespace = current_schema()::regnamespace
			AND (c.relname = ANY (ARRAY(SELECT json_array_elements_text($1::json))) OR p.relname = ANY (ARRAY(SELECT json_array_elements_text($1::json))))
		ORDER BY 1, 2`)
)

func (postgresDialect) shape(tx dbms.Tx, t dbms.Change) (*shape, error) {
	s := &shape{name: t.Table, key: t.KeyColumns, exact: true}
	loose := map[string]bool{}
	err := each(tx, postgresColumns, func(row []dbms.Value) error {
		c := shapeColumn{name: textOf(row[0]), cast: textOf(row[1]), typ: textOf(row[3])}
		s.columns = append(s.columns, c)
		loose[c.name] = numberOf(row[4]) != 0
		if textOf(row[2]) == "a" && !contains(t.KeyColumns, c.name) {
			s.whole = true // GENERATED ALWAYS can be inserted, and not updated
		}
		return nil
	}, t.Table)
	if err != nil {
		return nil, err
	}
	if len(t.KeyColumns) == 1 && s.position(t.KeyColumns[0]) < 0 {
		s.place = "ctid"
	}
	for _, i := range s.keyPositions() {
		s.exact = s.exact && !loose[s.columns[i].name]
	}
	err = each(tx, postgresIndexes, func(row []dbms.Value) error {
		if numberOf(row[0]) != 0 {
			s.whole = s.whole || numberOf(row[1]) == 0 // a deferrable key is no target of ON CONFLICT
			return nil
		}
		s.unique(textOf(row[3]), numberOf(row[2]) != 0)
		return nil
	}, t.Table)
	s.whole = s.whole || s.place != ""
	return s, err
}

// unique notes a unique index over the columns of a JSON list.
func (s *shape) unique(columns string, loose bool) {
	var names []*string
	if loose || json.Unmarshal([]byte(columns), &names) != nil {
		s.loose = true
		return
	}
	var set []int
	for _, name := range names {
		i := -1
		if name != nil {
			i = s.position(*name)
		}
		if i < 0 {
			s.loose = true // an expression, or a generated column
			return
		}
		set = append(set, i)
	}
	s.uniques = append(s.uniques, set)
}

func contains(list []string, name string) bool {
	for _, n := range list {
		if n == name {
			return true
		}
	}
	return false
}

// batch is how many rows a statement takes: as arrays, a column each.
const batch = 1000

func (postgresDialect) rows(int) int { return batch }

func (postgresDialect) piece(n, most int) int { return min(n, most) }

func (postgresDialect) placed() bool { return false }

func unnest(columns []shapeColumn) (list, names string) {
	var arrays, aliases []string
	for i := range columns {
		arrays = append(arrays, fmt.Sprintf("$%d::text[]", i+1))
		aliases = append(aliases, fmt.Sprintf("c%d", i))
	}
	return strings.Join(arrays, ", "), strings.Join(aliases, ", ")
}

func (postgresDialect) write(s *shape, _ int, over bool) string {
	arrays, aliases := unnest(s.columns)
	var values []string
	for i, c := range s.columns {
		values = append(values, fmt.Sprintf("u.c%d::%s", i, c.cast))
	}
	text := fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM unnest(%s) AS u (%s)",
		quote(s.name), quoteAll(s.names()), strings.Join(values, ", "), arrays, aliases)
	if over {
		text += fmt.Sprintf(" ON CONFLICT (%s) DO %s", quoteAll(s.key), s.overwrite())
	}
	return text
}

func (d postgresDialect) remove(s *shape, _ int) string {
	return fmt.Sprintf("DELETE FROM %s AS t USING %s", quote(s.name), d.match(s))
}

func (d postgresDialect) count(s *shape, _ int) string {
	return fmt.Sprintf("SELECT count(*) FROM %s AS t, %s", quote(s.name), d.match(s))
}

// match is the rest of a statement over the rows of some keys.
func (postgresDialect) match(s *shape) string {
	columns := s.keyColumns()
	arrays, aliases := unnest(columns)
	var matches []string
	for i, c := range columns {
		name := quote(c.name)
		if s.place != "" {
			name = s.place
		}
		matches = append(matches, fmt.Sprintf("t.%s = u.c%d::%s", name, i, c.cast))
	}
	return fmt.Sprintf("unnest(%s) AS u (%s) WHERE %s", arrays, aliases, strings.Join(matches, " AND "))
}

// keyColumns are the key's columns.
func (s *shape) keyColumns() []shapeColumn {
	if s.place != "" {
		return []shapeColumn{{name: s.place, typ: "tid", cast: "tid"}}
	}
	var list []shapeColumn
	for _, i := range s.keyPositions() {
		list = append(list, s.columns[i])
	}
	return list
}

func (postgresDialect) args(columns []shapeColumn, values []any) []any {
	args := make([]any, len(columns))
	var b strings.Builder
	for i, c := range columns {
		b.Reset()
		b.WriteByte('{')
		for at := i; at < len(values); at += len(columns) {
			if at > i {
				b.WriteByte(',')
			}
			appendElement(&b, c, values[at])
		}
		b.WriteByte('}')
		args[i] = b.String()
	}
	return args
}

// appendElement writes a value as an array's element, in the form that the type's input function
// reads.
func appendElement(b *strings.Builder, c shapeColumn, v any) {
	var s string
	switch x := v.(type) {
	case nil:
		b.WriteString("NULL")
		return
	case int64:
		if s = strconv.FormatInt(x, 10); strings.HasPrefix(c.typ, "timestamp") {
			s = timestamp(x)
		}
	case float64:
		s = strconv.FormatFloat(x, 'g', -1, 64)
	case []byte:
		b.WriteString(`"\\x`)
		b.WriteString(hex.EncodeToString(x))
		b.WriteByte('"')
		return
	case string:
		s = x
	}
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}

// timestamp writes microseconds since 1970 exactly, in any year.
func timestamp(micros int64) string {
	t := time.UnixMicro(micros).UTC()
	year, era := t.Year(), ""
	if year < 1 {
		year, era = 1-year, " BC"
	}
	return fmt.Sprintf("%04d", year) + t.Format("-01-02 15:04:05.999999") + "+00" + era
}

func (postgresDialect) quiet(tx dbms.Tx, tables []string) (func() error, error) {
	var before, after []*dbms.Query
	names := jsonList(tables)
	err := each(tx, postgresForeign, func(row []dbms.Value) error {
		table, alter := textOf(row[0]), "ALTER TABLE "+quote(textOf(row[0]))
		before = append(before, statement(table, alter+" DROP CONSTRAINT "+quote(textOf(row[1]))))
		after = append(after, statement(table, alter+" ADD CONSTRAINT "+quote(textOf(row[1]))+" "+textOf(row[2])))
		return nil
	}, names)
	if err != nil {
		return nil, err
	}
	err = each(tx, postgresTriggers, func(row []dbms.Value) error {
		alter, trigger := "ALTER TABLE "+quote(textOf(row[0])), " TRIGGER "+quote(textOf(row[1]))
		mode := map[string]string{"A": " ENABLE ALWAYS", "R": " ENABLE REPLICA"}[textOf(row[2])]
		if mode == "" {
			mode = " ENABLE"
		}
		// Applications may not do that where history has triggers too.
		before = append(before, dbms.System(alter+" DISABLE"+trigger))
		after = append(after, dbms.System(alter+mode+trigger))
		return nil
	}, names)
	if err != nil {
		return nil, err
	}
	run := func(list []*dbms.Query) error {
		for _, q := range list {
			if _, err := tx.Exec(q); err != nil {
				return err
			}
		}
		return nil
	}
	return func() error {
		if len(after) == 0 {
			return nil
		}
		if err := execAll(tx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
			return err
		}
		err := run(after)
		if errors.Is(err, abi.Conflict) {
			return brokenKeys(err.Error())
		}
		return err
	}, run(before)
}

// check finds nothing: making the foreign keys again has.
func (postgresDialect) check(dbms.Tx, []string) ([]string, error) { return nil, nil }

func (postgresDialect) continued(s *shape) []string {
	var list []string
	for _, c := range s.columns {
		if c.typ != "bigint" && c.typ != "integer" && c.typ != "smallint" {
			continue
		}
		list = append(list, fmt.Sprintf(
			`SELECT setval(n::regclass, greatest(coalesce(pg_sequence_last_value(n::regclass), 0), (SELECT max(%s) FROM %s)::bigint)) FROM (SELECT pg_get_serial_sequence(%s, %s) AS n) AS s WHERE n IS NOT NULL AND EXISTS (SELECT 1 FROM %[2]s)`,
			quote(c.name), quote(s.name), literal(quote(s.name)), literal(c.name)))
	}
	return list
}

var (
	postgresBefore = dbms.System(`
		SELECT 'type ' || t.typname, 'CREATE TYPE ' || quote_ident(t.typname) || ' AS ENUM (' ||
			(SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid) || ')'
		FROM pg_type AS t WHERE t.typnamespace = current_schema()::regnamespace AND t.typtype = 'e'
		UNION ALL
		SELECT 'domain ' || t.typname, 'CREATE DOMAIN ' || quote_ident(t.typname) || ' AS ' || format_type(t.typbasetype, t.typtypmod) ||
			coalesce((SELECT string_agg(' ' || pg_get_constraintdef(k.oid), '' ORDER BY k.conname) FROM pg_constraint AS k WHERE k.contypid = t.oid), '')
		FROM pg_type AS t WHERE t.typnamespace = current_schema()::regnamespace AND t.typtype = 'd'
		UNION ALL
		SELECT 'sequence ' || c.relname, 'CREATE SEQUENCE IF NOT EXISTS ' || quote_ident(c.relname)
		FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'S' AND c.relname NOT LIKE 'dbos\_%'
			AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')`)
	// What the server writes names the schema, which is another one there.
	postgresAfter = dbms.System(`
		SELECT what, replace(text, quote_ident(current_schema()) || '.', '') FROM (
			SELECT 1 AS n, i.relname AS name, 'index ' || i.relname AS what, pg_get_indexdef(x.indexrelid) AS text, t.relname AS owner
			FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
			WHERE t.relnamespace = current_schema()::regnamespace AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid)
			UNION ALL
			SELECT 2, p.proname, 'function ' || p.proname, pg_get_functiondef(p.oid), p.proname FROM pg_proc AS p
			WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind IN ('f', 'p')
				AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
			UNION ALL
			SELECT 3, c.relname, 'view ' || c.relname, 'CREATE VIEW ' || quote_ident(c.relname) || ' AS ' || pg_get_viewdef(c.oid), c.relname
			FROM pg_class AS c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v'
			UNION ALL
			SELECT 4, g.tgname, 'trigger ' || g.tgname || ' of ' || t.relname, pg_get_triggerdef(g.oid), t.relname
			FROM pg_trigger AS g JOIN pg_class AS t ON t.oid = g.tgrelid
			WHERE t.relnamespace = current_schema()::regnamespace AND NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgname NOT LIKE '0\_dbos\_%') AS x
		WHERE owner NOT LIKE 'dbos\_%' AND owner NOT LIKE 'h\_%' AND owner !~ '^(sched|wf|ipc|fs|auth|prov)_' ORDER BY n, name`)
	postgresObjects = dbms.System(`
		SELECT 'DROP ' || CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END || ' IF EXISTS ' || quote_ident(relname) || ' CASCADE', relname::text
		FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
			AND relname NOT LIKE 'dbos\_%' AND relname NOT LIKE 'h\_%'`)
)

func (postgresDialect) extras(tx dbms.Tx) (before, after []extra, err error) {
	into := func(list *[]extra) func(row []dbms.Value) error {
		return func(row []dbms.Value) error {
			*list = append(*list, extra{textOf(row[0]), textOf(row[1])})
			return nil
		}
	}
	if err = each(tx, postgresBefore, into(&before)); err == nil {
		err = each(tx, postgresAfter, into(&after))
	}
	return before, after, err
}

func (postgresDialect) drops(tx dbms.Tx) (list []string, err error) {
	err = each(tx, postgresObjects, func(row []dbms.Value) error {
		if !IsService(textOf(row[1])) {
			list = append(list, textOf(row[0]))
		}
		return nil
	})
	return list, err
}
