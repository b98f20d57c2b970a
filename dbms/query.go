package dbms

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/dbos-go/dbos/abi"
)

// A Query is a named statement of SQL source text. Placeholders are $1, $2,
// …; a text may differ by engine. Engines prepare a Query once a connection
// and keep it by its address, so make Queries once (Bind), not per call. For
// SQL that comes from applications use SQL.
type Query struct {
	Name string
	// Application marks a statement of an application: it may read every
	// table but write only its application's own.
	Application bool

	texts map[string]string // by engine; "" is the text for all
}

// SQL returns an application's statement, to be used once or many times;
// engines keep the prepared form by its text.
func SQL(text string) *Query {
	return &Query{Name: "application", Application: true, texts: map[string]string{"": text}}
}

// System returns a one-off statement with the rights of a service. It is for
// tools and tests; services use Bind.
func System(text string) *Query {
	return &Query{Name: SystemName, texts: map[string]string{"": text}}
}

// SystemName is the name of the queries that System returns. Engines do not
// keep their prepared form.
const SystemName = "system"

// Text returns the statement for an engine.
func (q *Query) Text(engine string) string {
	if t, ok := q.texts[engine]; ok {
		return t
	}
	return q.texts[""]
}

// ParseQueries reads a .sql source text: each statement follows a line
//
//	-- name: message_insert
//
// and a variant that only one engine takes follows
//
//	-- name: message_insert engine: postgres
//
// Comments before the first name belong to the file.
func ParseQueries(source string) (map[string]*Query, error) {
	queries := map[string]*Query{}
	var name, engine string
	var body strings.Builder
	flush := func() error {
		text := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(body.String()), ";"))
		body.Reset()
		if name == "" {
			return nil
		}
		if text == "" {
			return sourceError(name, "it has no statement")
		}
		q := queries[name]
		if q == nil {
			q = &Query{Name: name, texts: map[string]string{}}
			queries[name] = q
		}
		if _, dup := q.texts[engine]; dup {
			return sourceError(name, "it is given twice")
		}
		q.texts[engine] = text
		return nil
	}
	for line := range strings.Lines(source) {
		rest, ok := strings.CutPrefix(line, "-- name:")
		if !ok {
			body.WriteString(line)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		name, engine, _ = strings.Cut(rest, "engine:")
		name, engine = strings.TrimSpace(name), strings.TrimSpace(engine)
		if name == "" {
			return nil, sourceError("?", "a -- name: line has no name")
		}
	}
	return queries, flush()
}

// Bind parses a .sql source text and sets the *Query fields, all exported, of
// the struct that dst points to, each to the query with the field's name in
// snake case (MessageInsert: message_insert). A field without a query and a query
// without a field are errors, so that neither can rot.
func Bind(dst any, source string) error {
	queries, err := ParseQueries(source)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(dst).Elem()
	for i := range v.NumField() {
		name := snake(v.Type().Field(i).Name)
		q := queries[name]
		if q == nil {
			return sourceError(name, "the source has no such query")
		}
		*(v.Field(i).Addr().Interface().(**Query)) = q
		delete(queries, name)
	}
	for name := range queries {
		return sourceError(name, fmt.Sprintf("%s has no field for it", v.Type()))
	}
	return nil
}

func snake(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func sourceError(name, problem string) error {
	return abi.Errorf("dbms.queries", abi.Invalid, "query "+name, "%s", problem)
}
