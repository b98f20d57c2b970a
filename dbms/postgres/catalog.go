package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dbos-go/dbos/abi"
)

// A relation is what the catalog says in short of a table, view or the like
// in the system's schema: enough to tell whether it has changed.
type relation struct {
	oid         int64
	name        string
	kind        string // pg_class.relkind
	owner       string
	identity    string // pg_class.relreplident
	persistence string
	partition   bool
	inherits    bool // or is inherited from
	published   bool
	triggers    int64  // how many of history's it has
	stamp       string // changes when the table's definition does
}

// readRelations is one look at the whole schema. A row of the catalog that is
// written anew gets another place, so places tell that something has changed.
const readRelations = `
SELECT c.oid::bigint, c.relname, c.relkind::text, pg_get_userbyid(c.relowner), c.relreplident::text, c.relpersistence::text, c.relispartition,
	EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
	EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = c.oid AND p.pubname = $2),
	(SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname IN ('` + rowTrigger + `', '` + truncateTrigger + `') AND t.tgenabled IN ('O', 'A')),
	CASE WHEN c.relkind IN ('r', 'p') AND c.relname NOT LIKE 'dbos\_%' AND c.relname NOT LIKE 'h\_%' THEN md5(concat_ws('/', c.relfilenode,
		(SELECT string_agg(concat(ctid, xmin), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0),
		(SELECT string_agg(concat(oid, ctid, xmin), ' ' ORDER BY oid) FROM pg_attrdef WHERE adrelid = c.oid),
		(SELECT string_agg(concat(oid, ctid, xmin), ' ' ORDER BY oid) FROM pg_constraint WHERE conrelid = c.oid),
		(SELECT string_agg(e.enumlabel, ' ' ORDER BY e.oid) FROM pg_attribute a JOIN pg_enum e ON e.enumtypid = a.atttypid WHERE a.attrelid = c.oid)))
	ELSE '' END
FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
ORDER BY c.oid`

// relations reads all relations of the schema.
func (h *history) relations(ctx context.Context, tx executor) ([]relation, error) {
	rows, err := tx.query(ctx, readRelations, h.schema, h.publication())
	if err != nil {
		return nil, err
	}
	found := make([]relation, len(rows))
	for i, r := range rows {
		found[i] = relation{
			oid: r[0].(int64), name: r[1].(string), kind: r[2].(string), owner: r[3].(string), identity: r[4].(string),
			persistence: r[5].(string), partition: r[6] == int64(1), inherits: r[7] == int64(1), published: r[8] == int64(1),
			triggers: r[9].(int64), stamp: r[10].(string),
		}
	}
	return found, nil
}

// tracked reports whether history is kept of a relation.
func (r relation) tracked() bool {
	return (r.kind == "r" || r.kind == "p") && !r.partition && !strings.HasPrefix(r.name, "dbos_") && !strings.HasPrefix(r.name, "h_")
}

// A shape is a table's definition, as it is kept in dbos_definition.
type shape struct {
	Columns     []column     `json:"columns"`
	Key         []int        `json:"key"` // numbers of the key's columns
	Constraints []constraint `json:"constraints"`
	File        int64        `json:"file"` // changes when rows are written anew
	Unlogged    bool         `json:"unlogged,omitempty"`
}

// A column is one that is not dropped.
type column struct {
	Number    int    `json:"att"` // stays when it is renamed
	Name      string `json:"name"`
	Type      string `json:"type"`
	Base      uint32 `json:"base"` // OID of the type, or of what a domain is made of
	NotNull   bool   `json:"notnull"`
	Default   string `json:"default"`
	Identity  string `json:"identity"`
	Generated string `json:"generated"`
	Missing   bool   `json:"missing"` // its default stands for rows from before it
	Collation string `json:"collation"`
	Labels    string `json:"labels,omitempty"` // of an enum type, in the order they were made
}

type constraint struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// readShape reads one table's definition.
const readShape = `
SELECT json_build_object(
	'file', c.relfilenode::bigint, 'unlogged', c.relpersistence = 'u',
	'columns', (SELECT coalesce(json_agg(json_build_object(
			'att', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
			'base', CASE WHEN a.atttypid < 16384 THEN a.atttypid ELSE (
				WITH RECURSIVE b AS (SELECT t.oid, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
					UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM b JOIN pg_type t ON b.typtype = 'd' AND t.oid = b.typbasetype)
				SELECT oid FROM b WHERE typtype <> 'd') END::bigint,
			'notnull', a.attnotnull, 'default', coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
			'labels', (SELECT coalesce(string_agg(e.enumlabel, chr(31) ORDER BY e.oid), '') FROM pg_enum e WHERE e.enumtypid = a.atttypid),
			'identity', a.attidentity, 'generated', a.attgenerated, 'missing', a.atthasmissing,
			'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text ELSE '' END) ORDER BY a.attnum), '[]')
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
	'key', (SELECT coalesce(json_agg(k.att ORDER BY k.n), '[]') FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY k(att, n)
		WHERE p.conrelid = c.oid AND p.contype = 'p'),
	'constraints', (SELECT coalesce(json_agg(json_build_object('name', p.conname, 'text', pg_get_constraintdef(p.oid))
			ORDER BY p.contype <> 'p', p.contype <> 'u', p.conname), '[]')
		FROM pg_constraint p WHERE p.conrelid = c.oid AND p.contype IN ('p', 'u', 'c', 'f', 'x')))::text
FROM pg_class c WHERE c.oid = $1::bigint::oid`

func readTable(ctx context.Context, tx executor, oid int64) (shape, error) {
	var s shape
	rows, err := tx.query(ctx, readShape, oid)
	if err != nil {
		return s, err
	}
	if len(rows) != 1 {
		return s, abi.Errorf("postgres.define", abi.Conflict, fmt.Sprintf("table %d", oid), "it has gone meanwhile")
	}
	return s, json.Unmarshal([]byte(rows[0][0].(string)), &s)
}

// stored are the columns that are not generated.
func (s shape) stored() []column {
	var list []column
	for _, c := range s.Columns {
		if c.Generated == "" {
			list = append(list, c)
		}
	}
	return list
}

func (s shape) column(number int) (column, bool) {
	for _, c := range s.Columns {
		if c.Number == number {
			return c, true
		}
	}
	return column{}, false
}

// names are the names of the stored columns.
func (s shape) names() []string {
	var names []string
	for _, c := range s.stored() {
		names = append(names, c.Name)
	}
	return names
}

// types are the types of the stored columns.
func (s shape) types() []string {
	var types []string
	for _, c := range s.stored() {
		types = append(types, c.Type)
	}
	return types
}

// keyNames are the names of the values that identify a row.
func (s shape) keyNames() []string {
	if len(s.Key) == 0 {
		return []string{rowColumn}
	}
	var names []string
	for _, number := range s.Key {
		c, _ := s.column(number)
		names = append(names, c.Name)
	}
	return names
}

// deferrable reports whether the key need not be unique in between.
func (s shape) deferrable() bool {
	return len(s.Constraints) > 0 && strings.HasPrefix(s.Constraints[0].Text, "PRIMARY KEY") &&
		strings.Contains(s.Constraints[0].Text, ") DEFERRABLE")
}

// rowColumn is the history column that identifies rows of a table without a
// primary key: the place where the row's present version is.
const rowColumn = "dbos_rowid"

// ddl is the statement that makes the table.
func (s shape) ddl(name string) string {
	var parts []string
	for _, c := range s.Columns {
		parts = append(parts, c.ddl())
	}
	for _, c := range s.Constraints {
		parts = append(parts, "CONSTRAINT "+quoteName(c.Name)+" "+c.Text)
	}
	verb := "CREATE TABLE "
	if s.Unlogged {
		verb = "CREATE UNLOGGED TABLE "
	}
	return verb + quoteName(name) + " (" + strings.Join(parts, ", ") + ")"
}

func (c column) ddl() string {
	text := quoteName(c.Name) + " " + c.Type
	if c.Collation != "" {
		text += " COLLATE " + c.Collation
	}
	switch {
	case c.Generated != "":
		text += " GENERATED ALWAYS AS (" + c.Default + ") STORED"
	case c.Identity == "a":
		text += " GENERATED ALWAYS AS IDENTITY"
	case c.Identity == "d":
		text += " GENERATED BY DEFAULT AS IDENTITY"
	case c.Default != "":
		text += " DEFAULT " + c.Default
	}
	if c.NotNull {
		text += " NOT NULL"
	}
	return text
}

// constantPattern is a default that is the same at any time and for any row.
var constantPattern = regexp.MustCompile(`^\(?(-?[0-9.]+(e[+-]?[0-9]+)?|'([^']|'')*'|true|false|NULL)\)?(::[a-z0-9 "(),\[\]]+)*$`)

// constant reports whether the value that an added column has in rows from
// before it can be read off its definition.
func (c column) constant() bool {
	if c.Identity != "" {
		return false
	}
	return c.Generated != "" || c.Default == "" || c.Missing && constantPattern.MatchString(c.Default)
}

// converted reports whether values in rows have become others when the column
// became what it is now; rewritten says that the rows were written anew.
func (c column) converted(now column, rewritten bool) bool {
	relabelled := !strings.HasPrefix(now.Labels+"\x1f", c.Labels+"\x1f")
	return now.Base != c.Base || rewritten && now.Type != c.Type || relabelled && c.Labels != ""
}

// historyType is the type of the column in the history table. Types that come
// out as text are kept as text: so history does not depend on types that the
// application makes, and drops.
func (c column) historyType() string {
	switch c.Base {
	case pgtype.BoolOID:
		return "boolean"
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return "bigint"
	case pgtype.Float4OID:
		return "real"
	case pgtype.Float8OID:
		return "double precision"
	case pgtype.NumericOID:
		return "numeric"
	case pgtype.ByteaOID:
		return "bytea"
	case pgtype.TimestamptzOID:
		return "timestamptz"
	case pgtype.BPCharOID:
		return "bpchar" // whose cast to text would cut blanks off
	}
	return "text"
}
