package dbmstest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// edges are the numbers at which floats are easily bent.
var edges = []any{
	nil, 0.0, math.Copysign(0, -1), 1.0, 0.1, -2.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1), 1e18, 9.3e18, 1.0 / 3,
}

// texts are what a column of text takes: Unicode without NUL.
var texts = []any{
	nil, "", "a", "A", " 1", "1.0", "a ", "b\\000", "Ünï\u2028", "\U0010ffff", "'", "\"$1\"", "\\N", "NULL", "{a,b}", strings.Repeat("long ", 1000),
}

var bytea = []any{nil, []byte{}, []byte{0}, []byte("a"), []byte{0xff, 0, 0xff}, []byte(`\x00`), []byte(`\\`), make([]byte, 5000)}

// postgresTypes are the types of generated tables. Their names and defaults
// are written as the catalogue prints them, so that a recorded definition can be
// searched for them.
var postgresTypes = []ColumnType{
	{"bigint", []any{nil, 0, 1, -1, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, "7"}, "42", int64(42), "77"},
	{"integer", []any{nil, 0, 1, -1, math.MaxInt32, math.MinInt32, "7"}, "42", int64(42), "77"},
	{"smallint", []any{nil, 0, 1, -1, math.MaxInt16, math.MinInt16}, "42", int64(42), "77"},
	{"boolean", []any{nil, false, true, 0, 1, "t", "no"}, "true", int64(1), "false"},
	{"double precision", edges, "1.5", 1.5, "2.25"},
	{"real", []any{nil, 0.0, 0.5, -2.5, 0.1, 1.0 / 3, float32(math.MaxFloat32), math.Inf(1)}, "1.5", 1.5, "2.25"},
	{"numeric", []any{nil, 0, math.MaxInt64, "1.50", "-0.001", "99999999999999999999", "1e-30", "NaN", "1.0", "1.00", 2.5}, "7.50", "7.50", "8.0"},
	{"text", texts, "'x'::text", "x", "'touched'"},
	{"character varying", texts, "'x'::character varying", "x", "'touched'"},
	{"bytea", bytea, `'\x00ff'::bytea`, []byte{0, 0xff}, `'\x01'`},
	{"timestamp with time zone", []any{nil, noon, noon.Add(time.Microsecond), time.Unix(0, 0), "2024-02-29 23:59:59.999999+00", "1969-12-31 23:59:59.999999+00",
		"infinity", "-infinity", "0044-03-15 00:00:00+00 BC", "10000-01-01 00:00:00+00"},
		"'2024-01-01 00:00:00+00'::timestamp with time zone", int64(1704067200000000), "'2000-01-01 00:00:00+00'"},
	{"timestamp without time zone", []any{nil, "2024-02-29 23:59:59.999999", "infinity", "0044-03-15 00:00:00 BC", "10000-01-01 00:00:00", noon},
		"'2024-01-01 00:00:00'::timestamp without time zone", "2024-01-01 00:00:00", "'2000-01-01'"},
	{"date", []any{nil, "2024-02-29", "infinity", "0001-01-01", "4713-01-01 BC", "10000-12-31", noon}, "'2024-02-29'::date", "2024-02-29", "'2000-01-01'"},
	{"interval", []any{nil, "1 day", "24:00:00", "1 year 2 mons -3 days +04:05:06.789", "-00:00:01", "00:00:00"}, "'1 day'::interval", "1 day", "'1 mon'"},
	{"uuid", uuids, "'00000000-0000-0000-0000-000000000001'::uuid", "00000000-0000-0000-0000-000000000001", "'00000000-0000-0000-0000-00000000000f'"},
	{"jsonb", []any{nil, "1", "1.0", `"a"`, `{"a": [1, null]}`, "null", `"\u00fc"`}, `'{"a": 1}'::jsonb`, `{"a": 1}`, "'[]'"},
	{"text[]", []any{nil, "{}", `{a,NULL,"b c"}`, "{{1,2},{3,4}}", `{""}`, `{"\"","\\"}`}, "'{a}'::text[]", "{a}", "'{t}'"},
}

var uuids = []any{
	nil, "00000000-0000-0000-0000-000000000002", "ffffffff-ffff-ffff-ffff-ffffffffffff", "0198c3a2-7c1e-7000-8000-000000000001",
	"0198c3a2-7c1e-7000-8000-000000000002", "00000000-0000-0000-0000-000000000000",
}

// PostgreSQL is the dialect of PostgreSQL 15 and later.
func PostgreSQL() Dialect {
	small := []any{0, 1, 2, 3, -1, math.MaxInt32}
	words := []any{"", "a", "A", "b", "b ", "ü"}
	return Dialect{
		Explain: "EXPLAIN ",
		Types:   postgresTypes,
		Plain:   postgresPlain,
		KeyTypes: []ColumnType{
			{Name: "bigint", Values: small}, {Name: "bigint", Values: small}, {Name: "integer", Values: small},
			{Name: "text", Values: words}, {Name: "text", Values: words},
			{Name: "bytea", Values: bytea[1:]}, {Name: "uuid", Values: uuids[1:]},
			// Equal keys of these types may have several texts.
			{Name: "numeric", Values: []any{1, "1.0", "1.00", 2, "2.50", "2.5"}},
			{Name: "double precision", Values: []any{0.0, math.Copysign(0, -1), 1.0, 0.1, -2.5, math.Inf(1)}},
			{Name: "interval", Values: []any{"1 day", "24:00:00", "1 mon", "30 days", "00:00:00", "-1 days"}},
		},
		KeylessUpdate: 2,
		TableOptions:  []string{"", "", "WITH (fillfactor = 50)"},
		Reference:     func(key string) string { return key },
		Inserts:       []string{"INSERT"},
		OnConflict:    []string{"", "", " ON CONFLICT DO NOTHING"},
		Updates:       []string{"UPDATE"},
		Trigger:       postgresTrigger,
		Default:       func(schema, column string) dbms.Value { return writtenDefault(postgresTypes, schema, column) },
		Forbidden:     postgresForbidden,
		Refused:       postgresRefused,
		Cases:         postgresCases,
	}
}

func postgresPlain(v dbms.Value) string {
	switch v.(type) {
	case int64:
		return "bigint"
	case float64:
		return "double precision"
	case []byte:
		return "bytea"
	}
	return "text"
}

func postgresTrigger(name, event, table, body string) []string {
	return []string{
		fmt.Sprintf("CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN %s; RETURN NULL; END $body$", quote(name), body),
		fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION %s()", quote(name), event, quote(table), quote(name)),
	}
}
