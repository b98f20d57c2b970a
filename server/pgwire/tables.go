package pgwire

import "context"

// A Table is one that people ask about: of schema main those of a moment, of history all
// their versions, of prov who did what.
type Table struct {
	Schema  string
	Name    string
	Columns []Column
}

// Tables returns the tables that a source has at a moment, by schema and name.
func Tables(ctx context.Context, source Source, at string) ([]Table, error) {
	found, err := tables(ctx, source, at)
	if err != nil {
		return nil, err
	}
	list := make([]Table, len(found))
	for i, t := range found {
		list[i] = Table{Schema: t.schema, Name: t.name}
		for _, c := range t.columns {
			list[i].Columns = append(list[i].Columns, Column{Name: c.name, Type: c.duck})
		}
	}
	return list, nil
}

// Finished returns the statements of a text that a semicolon ends, and what is
// left: a statement that goes on, or nothing but blanks and comments.
func Finished(text string) (statements []string, rest string) {
	begin, empty := 0, true
	for _, t := range lex(text) {
		if !t.op(";") {
			empty = false
			continue
		}
		if !empty {
			statements = append(statements, text[begin:t.pos])
		}
		begin, empty = t.end(), true
	}
	return statements, text[begin:]
}
