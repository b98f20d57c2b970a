package pgwire

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dbos-go/dbos/abi"
)

// learn finds out what a prepared statement takes and returns, without running
// it.
func (s *session) learn(ctx context.Context, p *prepared) error {
	if p.known {
		return nil
	}
	params := append([]uint32(nil), p.declared...)
	var fields []field
	var err error
	switch {
	case p.st == nil:
	case s.command(p.st) != nil:
		fields, err = s.commandFields(p.st)
	case !p.st.reads():
		err = refuse(p.st)
	case s.block.state == failedBlock:
		err = failure("25P02", "current transaction is aborted, commands ignored until end of transaction block")
	default:
		var columns []Column
		if columns, err = s.learnQuery(ctx, p.st, params); err == nil {
			fields = fieldsOf(columns)
		}
	}
	if err != nil {
		return err
	}
	p.known, p.params, p.fields = true, params, fields
	return nil
}

// learnQuery returns the columns of a query and fills in the types of
// parameters that the client did not tell.
func (s *session) learnQuery(ctx context.Context, st *statement, params []uint32) ([]Column, error) {
	at, err := s.moment(ctx)
	if err != nil {
		return nil, err
	}
	catalog := namesCatalog(st.tokens)
	if d, ok := s.source.(Describer); ok && !catalog {
		types, columns, err := d.Describe(ctx, at, st.text)
		if err != nil && abi.KindOf(err) != abi.Unsupported {
			return nil, err
		}
		settled := err == nil
		for i := range params {
			if params[i] == 0 && i < len(types) {
				params[i] = parameterType(types[i])
			}
		}
		for _, c := range columns {
			settled = settled && c.Type != ""
		}
		if settled && len(columns) > 0 {
			return columns, nil
		}
	}
	return s.probe(ctx, st, params)
}

// probe returns the columns of a query with arguments that stand for those to
// come.
func (s *session) probe(ctx context.Context, st *statement, params []uint32) ([]Column, error) {
	args := make([]any, len(params))
	for i, oid := range params {
		args[i] = standIn(oid)
	}
	st, args = bindTypes(st, params, args)
	if st.describable() && !namesCatalog(st.tokens) {
		at, err := s.moment(ctx)
		if err != nil {
			return nil, err
		}
		rows, err := s.source.Query(ctx, at, "DESCRIBE "+st.text, args...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var columns []Column
		for rows.Next() {
			values := rows.Values()
			name, _ := values[0].(string)
			duck, _ := values[1].(string)
			columns = append(columns, Column{Name: name, Type: duck})
		}
		return columns, rows.Err()
	}
	rows, err := s.query(ctx, st, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns(), nil
}

// standIn returns an argument of a type, for finding out what a statement
// returns.
func standIn(oid uint32) any {
	switch oid {
	case pgtype.BoolOID:
		return false
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		return int64(0)
	case pgtype.Float4OID, pgtype.Float8OID:
		return 0.0
	case pgtype.NumericOID:
		return decimal("0.0")
	case pgtype.ByteaOID:
		return []byte{}
	case pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID:
		return time.Unix(0, 0).UTC()
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID:
		return ""
	}
	return nil // of any type
}
