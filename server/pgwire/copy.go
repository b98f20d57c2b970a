package pgwire

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A copyFormat is how COPY … TO STDOUT writes rows.
type copyFormat struct {
	csv       bool
	header    bool
	delimiter string
	null      string
	quote     byte
	escape    byte
	force     bool // quotes for everything that is not NULL
}

// copyOut begins COPY (query) TO STDOUT or COPY table [(columns)] TO STDOUT.
func (s *session) copyOut(ctx context.Context, st *statement) (*result, error) {
	tokens := st.tokens
	depth, to := 0, -1
	for i, t := range tokens {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth == 0 && t.is("to", "from") && to < 0:
			to = i
		}
	}
	switch {
	case to < 2 || to+1 >= len(tokens):
		return nil, failure("42601", "syntax error in COPY; write COPY (query) TO STDOUT")
	case tokens[to].is("from"):
		return nil, refuse(&statement{verb: "insert", tokens: tokens})
	case !tokens[to+1].is("stdout"):
		return nil, failure("42501", "COPY writes to STDOUT only; \\copy of psql writes a file of the client's")
	}
	format, err := copyOptions(tokens[to+2:])
	if err != nil {
		return nil, err
	}
	text := st.text[tokens[1].pos:tokens[to-1].end()]
	if tokens[1].op("(") && tokens[to-1].op(")") {
		text = text[1 : len(text)-1]
	} else {
		columns := "*"
		if open := slices.IndexFunc(tokens[1:to], func(t token) bool { return t.op("(") }); open >= 0 {
			columns = st.text[tokens[open+1].end():tokens[to-1].pos]
			text = st.text[tokens[1].pos:tokens[open+1].pos]
		}
		text = "SELECT " + columns + " FROM " + text
	}
	list := split(text)
	if len(list) != 1 {
		return nil, failure("42601", "syntax error in COPY")
	}
	query := list[0]
	query.rewritten = true
	if !query.reads() {
		return nil, refuse(query)
	}
	rows, err := s.query(ctx, query, nil)
	if err != nil {
		return nil, err
	}
	return &result{fields: fieldsOf(rows.Columns()), rows: rows, tag: "COPY", counted: true, copied: format}, nil
}

// copyOptions reads [WITH] (FORMAT csv, HEADER, …) or the older form without
// parentheses.
func copyOptions(tokens []token) (*copyFormat, error) {
	f := &copyFormat{delimiter: "\t", null: `\N`, quote: '"', escape: '"'}
	given := map[string]bool{}
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		next := token{kind: opToken}
		if i+1 < len(tokens) {
			next = tokens[i+1]
			if next.is("as") && i+2 < len(tokens) {
				i++
				next = tokens[i+1]
			}
		}
		switch {
		case t.op("("), t.op(")"), t.op(","), t.is("with", "encoding"):
			if t.is("encoding") {
				i++
			}
		case t.is("format") && next.value != "":
			i++
			if !slices.Contains([]string{"csv", "text"}, strings.ToLower(next.value)) {
				return nil, failure("0A000", "COPY format %q is not supported here; use text or csv", next.value)
			}
			f.csv = strings.EqualFold(next.value, "csv")
		case t.is("csv"):
			f.csv = true
		case t.is("header"):
			f.header = true
			if next.kind != opToken && !next.is("quote", "escape", "delimiter", "null", "force") {
				f.header = slices.Contains([]string{"true", "on", "1"}, strings.ToLower(next.value))
				i++
			}
		case t.is("delimiter", "null", "quote", "escape") && next.kind == stringToken:
			i++
			given[t.value] = true
			if err := f.set(t.value, next.value); err != nil {
				return nil, err
			}
		case t.is("force_quote"), t.is("force") && next.is("quote"):
			f.force = true
			for i+1 < len(tokens) && (tokens[i+1].is("quote") || tokens[i+1].op("*")) {
				i++
			}
		default:
			return nil, failure("42601", "syntax error in the options of COPY at or near %q", t.text)
		}
	}
	if f.csv && !given["delimiter"] {
		f.delimiter = ","
	}
	if f.csv && !given["null"] {
		f.null = ""
	}
	if given["quote"] && !given["escape"] {
		f.escape = f.quote
	}
	return f, nil
}

func (f *copyFormat) set(name, value string) error {
	if name == "null" {
		f.null = value
		return nil
	}
	if len(value) != 1 || value == "\n" || value == "\r" {
		return failure("22023", "COPY %s must be a single one-byte character", name)
	}
	switch name {
	case "delimiter":
		f.delimiter = value
	case "quote":
		f.quote = value[0]
	case "escape":
		f.escape = value[0]
	}
	return nil
}

// sendCopy sends all rows as COPY does, and returns how many.
func (s *session) sendCopy(ctx context.Context, r *result) (int64, error) {
	s.wire.Send(&pgproto3.CopyOutResponse{ColumnFormatCodes: make([]uint16, len(r.fields))})
	var line, cell []byte
	if r.copied.header {
		for i, f := range r.fields {
			line = r.copied.append(line, i, []byte(f.name))
		}
		s.wire.Send(&pgproto3.CopyData{Data: append(line, '\n')})
	}
	n := int64(0)
	for r.rows.Next() {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		line = line[:0]
		for i, v := range r.rows.Values() {
			if v == nil {
				line = append(r.copied.separate(line, i), r.copied.null...)
				continue
			}
			var err error
			if cell, err = r.fields[i].encode(cell[:0], v, s.settings.location); err != nil {
				return n, err
			}
			line = r.copied.append(line, i, cell)
		}
		line = append(line, '\n')
		s.wire.Send(&pgproto3.CopyData{Data: line})
		n++
		if s.unsent += len(line) + 5; s.unsent > flushBytes {
			if err := s.flush(); err != nil {
				return n, err
			}
		}
	}
	if err := r.rows.Err(); err != nil {
		return n, err
	}
	s.wire.Send(&pgproto3.CopyDone{})
	return n, nil
}

func (f *copyFormat) separate(line []byte, column int) []byte {
	if column > 0 {
		return append(line, f.delimiter...)
	}
	return line
}

// append adds a value that is not NULL.
func (f *copyFormat) append(line []byte, column int, value []byte) []byte {
	line = f.separate(line, column)
	if !f.csv {
		return f.escaped(line, value)
	}
	special := f.delimiter + string(f.quote) + "\r\n"
	alone := string(value) == `\.`
	if !f.force && string(value) != f.null && !bytes.ContainsAny(value, special) && !alone {
		return append(line, value...)
	}
	line = append(line, f.quote)
	for _, c := range value {
		if c == f.quote || c == f.escape {
			line = append(line, f.escape)
		}
		line = append(line, c)
	}
	return append(line, f.quote)
}

// escaped adds a value in the text format.
func (f *copyFormat) escaped(line, value []byte) []byte {
	const special, letters = "\\\b\f\n\r\t\v", `\bfnrtv`
	for _, c := range value {
		if i := strings.IndexByte(special, c); i >= 0 {
			line = append(line, '\\', letters[i])
			continue
		}
		if c == f.delimiter[0] {
			line = append(line, '\\')
		}
		line = append(line, c)
	}
	return line
}
