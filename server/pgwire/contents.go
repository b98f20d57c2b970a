package pgwire

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// A catalogTable is one of the source's, as the catalogs show it.
type catalogTable struct {
	oid     uint32
	schema  string
	name    string
	columns []catalogColumn
}

type catalogColumn struct {
	name     string
	duck     string
	nullable bool
}

// schemas are those of the source that hold tables for people.
var schemas = []string{"main", "history", "prov"}

// listTables asks for all columns of all tables. It is DuckDB's own catalog, not
// one of those here.
const listTables = `SELECT table_schema, table_name, column_name, data_type, is_nullable = 'YES'
FROM information_schema.columns WHERE table_catalog = current_database() AND table_schema IN ('main', 'history', 'prov')
ORDER BY table_schema, table_name, ordinal_position`

// tables returns the tables of a moment.
func tables(ctx context.Context, source Source, at string) ([]*catalogTable, error) {
	rows, err := source.Query(ctx, at, listTables)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*catalogTable
	taken := map[uint32]bool{}
	for rows.Next() {
		v := rows.Values()
		schema, name := fmt.Sprint(v[0]), fmt.Sprint(v[1])
		var t *catalogTable
		if n := len(list); n > 0 && list[n-1].schema == schema && list[n-1].name == name {
			t = list[n-1]
		} else {
			t = &catalogTable{schema: schema, name: name, oid: relationOID(schema, name, taken)}
			list = append(list, t)
		}
		nullable, _ := v[4].(bool)
		t.columns = append(t.columns, catalogColumn{name: fmt.Sprint(v[2]), duck: fmt.Sprint(v[3]), nullable: nullable})
	}
	return list, rows.Err()
}

// otherSchemas is where the OIDs begin of tables that are found only by their
// schema's name.
const otherSchemas = 1 << 30

// relationOID returns the number of a table. It comes from the name, so that it
// stays the same from one statement to the next, whatever tables come and go.
func relationOID(schema, name string, taken map[uint32]bool) uint32 {
	h := fnv.New32a()
	h.Write([]byte(schema + "." + name))
	oid := h.Sum32()%(otherSchemas-1<<20) + 1<<20
	if schema != "main" {
		oid += otherSchemas
	}
	for taken[oid] {
		oid++
	}
	taken[oid] = true
	return oid
}

// The OIDs of what every database has.
const (
	catalogSchema = 11
	mainSchema    = 2200
	owner         = 10
	heap          = 2
	databaseOID   = 5
)

// schemaOID returns the number of a schema.
func schemaOID(name string) uint32 {
	switch name {
	case "main":
		return mainSchema
	case "pg_catalog":
		return catalogSchema
	case "information_schema":
		return 13_000
	}
	return 16_000 + uint32(max(slices.Index(schemas, name), 0))
}

// A relationRows is what is in a relation: some columns with a value for each
// row, some with one for all. The others are empty.
type relationRows struct {
	columns []string
	rows    [][]any
	same    map[string]any
}

// contents makes the rows of a relation. What is not here has none: there are no
// functions, policies or publications.
func (s *session) contents(name string, tables []*catalogTable) relationRows {
	switch name {
	case "pg_namespace":
		r := relationRows{columns: []string{"oid", "nspname"}, same: map[string]any{"nspowner": owner}}
		for _, schema := range append([]string{"pg_catalog", "information_schema"}, schemas...) {
			r.rows = append(r.rows, []any{schemaOID(schema), schema})
		}
		return r
	case "pg_class":
		return classRows(tables)
	case "pg_attribute":
		return attributeRows(tables)
	case "pg_type":
		return typeRows()
	case "pg_tables":
		return perTable(tables, []string{"schemaname", "tablename"}, map[string]any{
			"tableowner": s.user, "hasindexes": false, "hasrules": false, "hastriggers": false, "rowsecurity": false},
			func(t *catalogTable) []any { return []any{t.schema, t.name} })
	case "pg_stat_user_tables", "pg_stat_all_tables":
		return perTable(tables, []string{"relid", "schemaname", "relname"}, nil, func(t *catalogTable) []any { return []any{t.oid, t.schema, t.name} })
	case "information_schema_tables":
		return perTable(tables, []string{"table_schema", "table_name"}, map[string]any{
			"table_catalog": s.database, "table_type": "BASE TABLE", "is_insertable_into": "NO", "is_typed": "NO"},
			func(t *catalogTable) []any { return []any{t.schema, t.name} })
	case "information_schema_columns":
		return s.columnRows(tables)
	case "information_schema_schemata":
		r := relationRows{columns: []string{"schema_name"}, same: map[string]any{"catalog_name": s.database, "schema_owner": s.user}}
		for _, schema := range append([]string{"pg_catalog", "information_schema"}, schemas...) {
			r.rows = append(r.rows, []any{schema})
		}
		return r
	case "pg_settings":
		r := relationRows{columns: []string{"name", "setting"}, same: map[string]any{
			"category": "DBOS", "context": "user", "vartype": "string", "source": "session", "short_desc": "", "pending_restart": false}}
		for _, name := range slices.Sorted(maps.Keys(s.settings.values)) {
			value, _ := s.show(name)
			r.rows = append(r.rows, []any{name, value})
		}
		return r
	}
	if same, ok := s.single(name); ok {
		return relationRows{rows: [][]any{{}}, same: same}
	}
	return relationRows{}
}

// single returns the row of a relation that has one.
func (s *session) single(name string) (map[string]any, bool) {
	switch name {
	case "pg_database":
		return map[string]any{"oid": databaseOID, "datname": s.database, "datdba": owner, "encoding": 6, "datlocprovider": "c", "datistemplate": false,
			"datallowconn": true, "datconnlimit": -1, "dattablespace": 1663, "datcollate": "C", "datctype": "C"}, true
	case "pg_roles", "pg_authid":
		return map[string]any{"oid": owner, "rolname": s.user, "rolsuper": false, "rolinherit": true, "rolcreaterole": false, "rolcreatedb": false,
			"rolcanlogin": true, "rolreplication": false, "rolconnlimit": -1, "rolbypassrls": false}, true
	case "pg_user", "pg_shadow":
		return map[string]any{"usename": s.user, "usesysid": owner, "usecreatedb": false, "usesuper": false, "userepl": false, "usebypassrls": false}, true
	case "pg_am":
		return map[string]any{"oid": heap, "amname": "heap", "amtype": "t"}, true
	case "pg_collation":
		return map[string]any{"oid": 100, "collname": "default", "collnamespace": catalogSchema, "collowner": owner, "collprovider": "d",
			"collisdeterministic": true, "collencoding": -1}, true
	case "pg_tablespace":
		return map[string]any{"oid": 1663, "spcname": "pg_default", "spcowner": owner}, true
	case "information_schema_enabled_roles":
		return map[string]any{"role_name": s.user}, true
	case "information_schema_information_schema_catalog_name":
		return map[string]any{"catalog_name": s.database}, true
	}
	return nil, false
}

func perTable(tables []*catalogTable, columns []string, same map[string]any, row func(*catalogTable) []any) relationRows {
	r := relationRows{columns: columns, same: same}
	for _, t := range tables {
		r.rows = append(r.rows, row(t))
	}
	return r
}

func classRows(tables []*catalogTable) relationRows {
	return perTable(tables, []string{"oid", "relname", "relnamespace", "relnatts"}, map[string]any{
		"reltype": 0, "reloftype": 0, "relowner": owner, "relam": heap, "relfilenode": 0, "reltablespace": 0, "relpages": 0, "reltuples": -1,
		"reltoastrelid": 0, "relhasindex": false, "relisshared": false, "relpersistence": "p", "relkind": "r", "relchecks": 0, "relhasrules": false,
		"relhastriggers": false, "relhassubclass": false, "relrowsecurity": false, "relforcerowsecurity": false, "relispopulated": true,
		"relreplident": "d", "relispartition": false, "relrewrite": 0,
	}, func(t *catalogTable) []any { return []any{t.oid, t.name, schemaOID(t.schema), len(t.columns)} })
}

func attributeRows(tables []*catalogTable) relationRows {
	r := relationRows{
		columns: []string{"attrelid", "attname", "atttypid", "atttypmod", "attlen", "attnum", "attnotnull"},
		same: map[string]any{"attstattarget": -1, "attndims": 0, "attcacheoff": -1, "attbyval": false, "attalign": "i", "attstorage": "p",
			"attcompression": "", "atthasdef": false, "atthasmissing": false, "attidentity": "", "attgenerated": "", "attisdropped": false,
			"attislocal": true, "attinhcount": 0, "attcollation": 0},
	}
	for _, t := range tables {
		for i, c := range t.columns {
			oid, typmod := typeOf(c.duck)
			r.rows = append(r.rows, []any{t.oid, c.name, oid, typmod, field{oid: oid}.size(), i + 1, !c.nullable})
		}
	}
	return r
}

func (s *session) columnRows(tables []*catalogTable) relationRows {
	r := relationRows{
		columns: []string{"table_schema", "table_name", "column_name", "ordinal_position", "is_nullable", "data_type", "udt_name",
			"numeric_precision", "numeric_scale", "datetime_precision"},
		same: map[string]any{"table_catalog": s.database, "udt_catalog": s.database, "udt_schema": "pg_catalog", "is_self_referencing": "NO",
			"is_identity": "NO", "is_generated": "NEVER", "is_updatable": "NO"},
	}
	for _, t := range tables {
		for i, c := range t.columns {
			oid, typmod := typeOf(c.duck)
			name := formatType(oid, -1)
			var precision, scale, fraction any
			switch oid {
			case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
				precision, scale = int(field{oid: oid}.size())*8, 0
			case pgtype.NumericOID:
				if typmod > 4 {
					precision, scale = int(typmod-4)>>16, int(typmod-4)&0xffff
				}
			case pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.TimeOID:
				fraction = 6
			}
			nullable := map[bool]string{true: "YES", false: "NO"}[c.nullable]
			r.rows = append(r.rows, []any{t.schema, t.name, c.name, i + 1, nullable, name, baseTypes[oid].name, precision, scale, fraction})
		}
	}
	return r
}

// A baseType is a row of pg_type, with what format_type calls it.
type baseType struct {
	name, sql string
	category  string
	array     uint32
}

var baseTypes = map[uint32]baseType{
	pgtype.BoolOID: {"bool", "boolean", "B", pgtype.BoolArrayOID}, pgtype.ByteaOID: {"bytea", "bytea", "U", pgtype.ByteaArrayOID},
	pgtype.NameOID: {"name", "name", "S", pgtype.NameArrayOID}, pgtype.QCharOID: {"char", `"char"`, "Z", 1002},
	pgtype.Int8OID: {"int8", "bigint", "N", pgtype.Int8ArrayOID}, pgtype.Int2OID: {"int2", "smallint", "N", pgtype.Int2ArrayOID},
	pgtype.Int4OID: {"int4", "integer", "N", pgtype.Int4ArrayOID}, pgtype.TextOID: {"text", "text", "S", pgtype.TextArrayOID},
	pgtype.OIDOID: {"oid", "oid", "N", 1028}, pgtype.JSONOID: {"json", "json", "U", pgtype.JSONArrayOID}, pgtype.Float4OID: {"float4", "real", "N", pgtype.Float4ArrayOID},
	pgtype.Float8OID: {"float8", "double precision", "N", pgtype.Float8ArrayOID}, pgtype.UnknownOID: {"unknown", "unknown", "X", 0},
	pgtype.BPCharOID: {"bpchar", "character", "S", pgtype.BPCharArrayOID}, pgtype.VarcharOID: {"varchar", "character varying", "S", pgtype.VarcharArrayOID},
	pgtype.DateOID: {"date", "date", "D", pgtype.DateArrayOID}, pgtype.TimeOID: {"time", "time without time zone", "D", pgtype.TimeArrayOID},
	pgtype.TimestampOID:   {"timestamp", "timestamp without time zone", "D", pgtype.TimestampArrayOID},
	pgtype.TimestamptzOID: {"timestamptz", "timestamp with time zone", "D", pgtype.TimestamptzArrayOID},
	pgtype.IntervalOID:    {"interval", "interval", "T", pgtype.IntervalArrayOID}, pgtype.NumericOID: {"numeric", "numeric", "N", pgtype.NumericArrayOID},
	pgtype.UUIDOID: {"uuid", "uuid", "U", pgtype.UUIDArrayOID}, pgtype.JSONBOID: {"jsonb", "jsonb", "U", pgtype.JSONBArrayOID},
}

// formatType is what PostgreSQL calls a type with its modifier.
func formatType(oid uint32, typmod int32) string {
	for element, t := range baseTypes {
		if t.array == oid && oid != 0 {
			return formatType(element, -1) + "[]"
		}
	}
	t, ok := baseTypes[oid]
	switch {
	case !ok:
		return "???"
	case oid == pgtype.NumericOID && typmod > 4:
		return fmt.Sprintf("numeric(%d,%d)", (typmod-4)>>16, (typmod-4)&0xffff)
	}
	return t.sql
}

func typeRows() relationRows {
	r := relationRows{
		columns: []string{"oid", "typname", "typlen", "typcategory", "typelem", "typarray"},
		same: map[string]any{"typnamespace": catalogSchema, "typowner": owner, "typbyval": false, "typtype": "b", "typispreferred": false,
			"typisdefined": true, "typdelim": ",", "typrelid": 0, "typalign": "i", "typstorage": "p", "typnotnull": false, "typbasetype": 0,
			"typtypmod": -1, "typndims": 0, "typcollation": 0, "typinput": 0, "typoutput": 0, "typreceive": 0, "typsend": 0, "typsubscript": 0},
	}
	for _, oid := range slices.Sorted(maps.Keys(baseTypes)) {
		t := baseTypes[oid]
		r.rows = append(r.rows, []any{oid, t.name, field{oid: oid}.size(), t.category, 0, t.array})
		if t.array != 0 {
			r.rows = append(r.rows, []any{t.array, "_" + t.name, -1, "A", oid, 0})
		}
	}
	return r
}

// cte writes a relation as a common table expression. Its rows are the
// argument with the number, or there are none: in the statement's text they would be read
// by the warehouse's check of statements, and kept with what was asked.
func (s *session) cte(name string, tables []*catalogTable, number int) (sql string, rows any) {
	relation, content := catalogRelations()[name], s.contents(name, tables)
	var b strings.Builder
	b.WriteString(name + " AS (SELECT ")
	for i, column := range relation.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		value := literal(content.same[column])
		if at := slices.Index(content.columns, column); at >= 0 {
			value = "r[" + strconv.Itoa(at+1) + "]"
		}
		fmt.Fprintf(&b, "CAST(%s AS %s) AS %s", value, catalogTypes[relation.letters[i]], quoteName(column))
	}
	switch {
	case len(content.rows) == 0:
		b.WriteString(" WHERE false")
	case len(content.columns) > 0:
		fmt.Fprintf(&b, " FROM (SELECT unnest(CAST(CAST($%d AS JSON) AS VARCHAR[][])) AS r)", number)
		rows = jsonTexts(content.rows)
	}
	b.WriteByte(')')
	return b.String(), rows
}

// jsonTexts writes rows as lists of texts.
func jsonTexts(rows [][]any) string {
	list := make([][]*string, len(rows))
	for i, row := range rows {
		list[i] = make([]*string, len(row))
		for j, v := range row {
			if v != nil {
				list[i][j] = new(strings.ToValidUTF8(fmt.Sprint(v), "\uFFFD"))
			}
		}
	}
	b, err := json.Marshal(list)
	if err != nil {
		panic(err) // of lists of texts there is nothing that cannot be written
	}
	return string(b)
}

// literal writes a value as SQL does.
func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	}
	return fmt.Sprint(v)
}

// quoteName writes a name so that no letter of it means anything else.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
