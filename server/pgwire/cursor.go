package pgwire

import (
	"context"
	"strconv"
	"strings"
)

// declare opens a cursor: DECLARE name [options] CURSOR [WITH HOLD] FOR query.
func (s *session) declare(ctx context.Context, st *statement) (*result, error) {
	if len(st.tokens) < 2 {
		return nil, failure("42601", "syntax error in DECLARE")
	}
	name, hold, at := st.tokens[1].value, false, 0
	for i, t := range st.tokens {
		if t.is("hold") && st.tokens[i-1].is("with") {
			hold = true
		}
		if t.is("binary") {
			return nil, failure("0A000", "binary cursors are not supported here")
		}
		if t.is("for") {
			at = i + 1
			break
		}
	}
	if at == 0 || at == len(st.tokens) {
		return nil, failure("42601", "syntax error in DECLARE: FOR and a query are missing")
	}
	if s.block.state == idle && !hold {
		return nil, failure("25P01", "DECLARE CURSOR can only be used in transaction blocks")
	}
	if s.cursors[name] != nil {
		return nil, failure("42P03", "cursor %q already exists", name)
	}
	if len(s.cursors) >= MaxPortals {
		return nil, failure("54000", "there are already %d open cursors", len(s.cursors))
	}
	query := split(st.text[st.tokens[at].pos:])[0]
	query.rewritten = true
	if !query.reads() {
		return nil, refuse(query)
	}
	c := &portal{prepared: &prepared{st: query}, text: query, hold: hold}
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	stop := context.AfterFunc(ctx, func() { c.cancel(context.Cause(ctx)) })
	err := s.openPortal(c)
	stop()
	if err != nil {
		c.drop()
		return nil, err
	}
	s.cursors[name] = c
	return command("DECLARE CURSOR"), nil
}

// fetch gives the next rows of a cursor. MOVE only counts them.
func (s *session) fetch(ctx context.Context, st *statement) (*result, error) {
	name, limit, err := fetchWords(st.tokens)
	if err != nil {
		return nil, err
	}
	c := s.cursors[name]
	if c == nil {
		return nil, failure("34000", "cursor %q does not exist", name)
	}
	rows := &fetched{portal: c, ctx: ctx, left: limit}
	if st.verb == "fetch" {
		return &result{fields: c.fields, rows: rows, tag: "FETCH", counted: true}, nil
	}
	n := 0
	for rows.Next() {
		n++
	}
	return command("MOVE " + strconv.Itoa(n)), rows.Err()
}

// fetchWords reads FETCH [NEXT|n|ALL|FORWARD [n|ALL]] [FROM|IN] name. A limit
// below zero is none.
func fetchWords(tokens []token) (name string, limit int64, err error) {
	limit = 1
	last := tokens[len(tokens)-1]
	if len(tokens) < 2 || last.kind == numberToken {
		return "", 0, failure("42601", "syntax error in %s", strings.ToUpper(tokens[0].value))
	}
	for _, t := range tokens[1 : len(tokens)-1] {
		switch {
		case t.kind == numberToken:
			if limit, err = strconv.ParseInt(t.value, 10, 64); err != nil {
				return "", 0, failure("42601", "syntax error at or near %q", t.text)
			}
		case t.is("all"):
			limit = -1
		case t.is("next", "forward", "from", "in"):
		default:
			return "", 0, failure("0A000", "cursors only go forward: %q is not supported here", t.text)
		}
	}
	return last.value, limit, nil
}

// fetched are the next rows of a cursor, which stays open behind them.
type fetched struct {
	*portal
	ctx  context.Context // of the statement that fetches
	left int64
	err  error
}

func (f *fetched) Columns() []Column { return f.result.rows.Columns() }
func (f *fetched) Values() []any     { return f.result.rows.Values() }
func (f *fetched) Close() error      { return nil }

func (f *fetched) Err() error {
	if f.err != nil {
		return f.err
	}
	return f.result.rows.Err()
}

func (f *fetched) Next() bool {
	if f.left == 0 || f.ended {
		return false
	}
	f.left--
	// What interrupts the fetching interrupts the query.
	stop := context.AfterFunc(f.ctx, func() { f.cancel(context.Cause(f.ctx)) })
	defer stop()
	if !f.result.rows.Next() {
		f.ended = true
		return false
	}
	return true
}

func (s *session) closeCursor(_ context.Context, st *statement) (*result, error) {
	last := st.tokens[len(st.tokens)-1]
	if last.is("all") {
		for name, c := range s.cursors {
			c.drop()
			delete(s.cursors, name)
		}
		return command("CLOSE CURSOR ALL"), nil
	}
	c := s.cursors[last.value]
	if c == nil {
		return nil, failure("34000", "cursor %q does not exist", last.value)
	}
	c.drop()
	delete(s.cursors, last.value)
	return command("CLOSE CURSOR"), nil
}
