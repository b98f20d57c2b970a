package pgwire

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// simpleQuery runs the statements of a text, until one fails.
func (s *session) simpleQuery(text string) {
	s.dropUnnamed()
	list := split(text)
	if len(list) == 0 {
		s.wire.Send(&pgproto3.EmptyQueryResponse{})
		return
	}
	for _, st := range list {
		ctx, cancel := context.WithCancelCause(s.ctx)
		err := s.within(ctx, cancel, func() error { return s.runSimple(ctx, st) })
		cancel(nil)
		if err != nil {
			s.fail(err, st)
			return
		}
	}
}

func (s *session) runSimple(ctx context.Context, st *statement) error {
	r, err := s.open(ctx, st, nil)
	if err != nil {
		return err
	}
	defer r.close()
	n := int64(0)
	switch {
	case r.copied != nil:
		n, err = s.sendCopy(ctx, r)
	case r.fields != nil:
		s.wire.Send(description(r.fields))
		n, _, err = s.sendRows(ctx, r, r.fields, 0)
	}
	if err != nil {
		return err
	}
	s.wire.Send(r.done(n))
	return nil
}

// fail tells the client that a statement failed, and with it the transaction
// block.
func (s *session) fail(err error, st *statement) {
	severity := "ERROR"
	if err == errShutdown {
		severity = "FATAL"
	}
	s.sendError(err, severity, st)
	if s.block.state == inBlock {
		s.block.state = failedBlock
	}
}

// open begins a statement.
func (s *session) open(ctx context.Context, st *statement, args []any) (*result, error) {
	if s.block.state == failedBlock && !st.endsBlock() {
		return nil, failure("25P02", "current transaction is aborted, commands ignored until end of transaction block")
	}
	if run := s.command(st); run != nil {
		return run(s, ctx, st)
	}
	if !st.reads() {
		return nil, refuse(st)
	}
	rows, err := s.query(ctx, st, args)
	if err != nil {
		return nil, err
	}
	return &result{fields: fieldsOf(rows.Columns()), rows: rows, tag: st.tag(), counted: st.tag() == "SELECT"}, nil
}

// query asks the source, with PostgreSQL's catalogs put before a statement that
// names them.
func (s *session) query(ctx context.Context, st *statement, args []any) (Rows, error) {
	at, err := s.moment(ctx)
	if err != nil {
		return nil, err
	}
	text := st.text
	if namesCatalog(st.tokens) {
		var rows []any
		if text, rows, err = s.withCatalog(ctx, at, st); err != nil {
			return nil, err
		}
		args = append(slices.Clone(args), rows...)
	}
	texts, _ := told(args, false)
	rows, err := s.source.Query(ctx, at, text, texts...)
	if err != nil && slices.Contains([]string{"42725", "42804", "42883"}, stateOf(err)) {
		// With $1 + 1 nothing but the argument says what it is.
		if numbers, changed := told(args, true); changed {
			if again, err := s.source.Query(ctx, at, text, numbers...); err == nil {
				return again, nil
			}
		}
	}
	return rows, err
}
