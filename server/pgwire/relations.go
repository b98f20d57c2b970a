package pgwire

import (
	_ "embed"
	"strings"
	"sync"
)

// relationList has a line for each relation of PostgreSQL 15's pg_catalog and
// information_schema: its name, and its columns with a letter for their type.
//
//go:embed relations.txt
var relationList string

// A catalogRelation is one of PostgreSQL's own.
type catalogRelation struct {
	columns []string
	letters []byte
}

// catalogTypes are the types of the letters in relations.txt.
var catalogTypes = map[byte]string{
	'B': "BOOLEAN", 'F': "FLOAT", 'I': "INTEGER", 'L': "BIGINT", 'T': "VARCHAR", 'Z': "TIMESTAMPTZ",
	'i': "INTEGER[]", 'l': "BIGINT[]", 't': "VARCHAR[]",
}

// catalogRelations are all of them by name. Those of information_schema have its
// name before theirs, with an underscore, as the CTEs that stand for them do.
var catalogRelations = sync.OnceValue(func() map[string]catalogRelation {
	all := map[string]catalogRelation{}
	for line := range strings.Lines(relationList) {
		words := strings.Fields(line)
		schema, name, _ := strings.Cut(words[0], ".")
		if schema == "information_schema" {
			name = schema + "_" + name
		}
		var r catalogRelation
		for _, word := range words[1:] {
			column, letter, _ := strings.Cut(word, ":")
			r.columns, r.letters = append(r.columns, column), append(r.letters, letter[0])
		}
		all[name] = r
	}
	return all
})
