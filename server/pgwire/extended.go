package pgwire

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A prepared statement is one that was parsed for later.
type prepared struct {
	st *statement // nil for an empty one
	// declared are the types of parameters that the client told, as many as
	// there are parameters; 0 where it left that to us.
	declared []uint32
	// known says that it was described: params are declared ones or, where
	// there are none, what the source says.
	known  bool
	params []uint32
	fields []field // nil if it returns no rows
}

// A portal is a prepared statement with its arguments, run as far as the client
// asked.
type portal struct {
	*prepared
	args    []any
	text    *statement // with what the arguments' types need
	formats []int16
	ctx     context.Context
	cancel  context.CancelCauseFunc
	result  *result
	fields  []field // in the formats that the client wants
	ended   bool
	hold    bool // of a cursor: it outlives its transaction block
}

func (p *portal) drop() {
	if p.result != nil {
		p.result.close()
		p.result = nil
	}
	p.cancel(nil)
}

// extended runs a step of the extended protocol. If it fails, all up to the
// next Sync is skipped.
func (s *session) extended(step func() error) {
	if err := step(); err != nil {
		f, ok := errors.AsType[*stepError](err)
		if !ok {
			f = &stepError{err: err}
		}
		s.fail(f.err, f.st)
		s.skipping = true
	}
}

// A stepError knows the statement that failed.
type stepError struct {
	err error
	st  *statement
}

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

func of(st *statement, err error) error {
	if err == nil {
		return nil
	}
	return &stepError{err, st}
}

// doing is within for something that leaves nothing open.
func (s *session) doing(fn func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	return s.within(ctx, cancel, func() error { return fn(ctx) })
}

func (s *session) parse(msg *pgproto3.Parse) error {
	if msg.Name != "" && s.statements[msg.Name] != nil {
		return failure("42P05", "prepared statement %q already exists", msg.Name)
	}
	if len(s.statements) >= MaxStatements {
		return failure("54000", "there are already %d prepared statements", len(s.statements))
	}
	list := split(msg.Query)
	if len(list) > 1 {
		return failure("42601", "cannot insert multiple commands into a prepared statement")
	}
	p := &prepared{}
	if len(list) == 1 {
		p.st = list[0]
		if s.block.state == failedBlock && !p.st.endsBlock() {
			return failure("25P02", "current transaction is aborted, commands ignored until end of transaction block")
		}
		n := max(p.st.parameters(), len(msg.ParameterOIDs))
		if n > 1<<16-1 {
			return failure("54000", "a statement has at most %d parameters", 1<<16-1)
		}
		p.declared = make([]uint32, n)
		copy(p.declared, msg.ParameterOIDs)
	}
	s.statements[msg.Name] = p
	s.wire.Send(&pgproto3.ParseComplete{})
	return nil
}

func (s *session) statement(name string) (*prepared, error) {
	p := s.statements[name]
	if p == nil {
		return nil, failure("26000", "prepared statement %q does not exist", name)
	}
	return p, nil
}

func (s *session) portal(name string) (*portal, error) {
	p := s.portals[name]
	if p == nil {
		return nil, failure("34000", "portal %q does not exist", name)
	}
	return p, nil
}

func (s *session) bind(msg *pgproto3.Bind) error {
	p, err := s.statement(msg.PreparedStatement)
	if err != nil {
		return err
	}
	if msg.DestinationPortal != "" && s.portals[msg.DestinationPortal] != nil {
		return failure("42P03", "portal %q already exists", msg.DestinationPortal)
	}
	if len(s.portals) >= MaxPortals {
		return failure("54000", "there are already %d open portals", len(s.portals))
	}
	if len(msg.Parameters) != len(p.declared) {
		return failure(protocolViolation, "bind message supplies %d parameters, but prepared statement %q requires %d",
			len(msg.Parameters), msg.PreparedStatement, len(p.declared))
	}
	if n := len(msg.ParameterFormatCodes); n > 1 && n != len(msg.Parameters) {
		return failure(protocolViolation, "bind message has %d parameter formats but %d parameters", n, len(msg.Parameters))
	}
	types, err := s.argumentTypes(p, msg)
	if err != nil {
		return err
	}
	next := &portal{prepared: p, text: p.st, formats: append([]int16(nil), msg.ResultFormatCodes...)}
	for i, raw := range msg.Parameters {
		arg, err := decode(types[i], format(msg.ParameterFormatCodes, i), raw)
		if err != nil {
			return err
		}
		next.args = append(next.args, arg)
	}
	if p.st != nil {
		next.text, next.args = bindTypes(p.st, types, next.args)
	}
	next.ctx, next.cancel = context.WithCancelCause(s.ctx)
	if old := s.portals[msg.DestinationPortal]; old != nil {
		old.drop()
	}
	s.portals[msg.DestinationPortal] = next
	s.wire.Send(&pgproto3.BindComplete{})
	return nil
}

// argumentTypes are the types in which the arguments come. A client that sends
// one in binary form without telling its type knows it from us.
func (s *session) argumentTypes(p *prepared, msg *pgproto3.Bind) ([]uint32, error) {
	if p.known {
		return p.params, nil
	}
	for i := range msg.Parameters {
		if p.declared[i] == 0 && format(msg.ParameterFormatCodes, i) == binaryFormat {
			err := s.doing(func(ctx context.Context) error { return s.learn(ctx, p) })
			return p.params, of(p.st, err)
		}
	}
	return p.declared, nil
}

func format(codes []int16, i int) int16 {
	switch len(codes) {
	case 0:
		return textFormat
	case 1:
		return codes[0]
	}
	return codes[i]
}

func (s *session) describe(msg *pgproto3.Describe) error {
	switch msg.ObjectType {
	case 'S':
		p, err := s.statement(msg.Name)
		if err != nil {
			return err
		}
		if err := s.doing(func(ctx context.Context) error { return s.learn(ctx, p) }); err != nil {
			return of(p.st, err)
		}
		s.wire.Send(&pgproto3.ParameterDescription{ParameterOIDs: p.params})
		s.sendDescription(p.fields)
	case 'P':
		p, err := s.portal(msg.Name)
		if err != nil {
			return err
		}
		if err := s.begin(p); err != nil {
			return of(p.text, err)
		}
		s.sendDescription(p.fields)
	default:
		return failure(protocolViolation, "invalid DESCRIBE message subtype %q", msg.ObjectType)
	}
	return nil
}

func (s *session) sendDescription(fields []field) {
	if fields == nil {
		s.wire.Send(&pgproto3.NoData{})
		return
	}
	s.wire.Send(description(fields))
}

// begin makes a portal know its columns: a query is run for that, a command is
// not.
func (s *session) begin(p *portal) error {
	if p.result != nil || p.st == nil || p.fields != nil {
		return nil
	}
	if s.command(p.st) != nil {
		fields, err := s.commandFields(p.st)
		if err != nil {
			return err
		}
		return p.setFields(fields)
	}
	return s.within(p.ctx, p.cancel, func() error { return s.openPortal(p) })
}

func (s *session) openPortal(p *portal) error {
	r, err := s.open(p.ctx, p.text, p.args)
	if err != nil {
		return err
	}
	p.result = r
	fields := r.fields
	if r.copied != nil {
		fields = nil
	}
	if p.known && fields != nil {
		if len(p.prepared.fields) != len(fields) {
			return failure("0A000", "cached plan must not change result type")
		}
		fields = p.prepared.fields
	}
	return p.setFields(fields)
}

// setFields gives the columns the formats that the client wants.
func (p *portal) setFields(fields []field) error {
	if fields == nil {
		return nil
	}
	if n := len(p.formats); n > 1 && n != len(fields) {
		return failure(protocolViolation, "bind message has %d result formats but query has %d columns", n, len(fields))
	}
	p.fields = make([]field, len(fields))
	for i, f := range fields {
		if f.format = format(p.formats, i); f.format != textFormat && f.format != binaryFormat {
			return failure(protocolViolation, "invalid format code %d", f.format)
		}
		p.fields[i] = f
	}
	return nil
}

func (s *session) execute(msg *pgproto3.Execute) error {
	p, err := s.portal(msg.Portal)
	if err != nil {
		return err
	}
	if p.st == nil {
		s.wire.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	if p.ended {
		return of(p.st, s.executeAgain(p))
	}
	err = s.within(p.ctx, p.cancel, func() error { return s.executePortal(p, int64(msg.MaxRows)) })
	return of(p.text, err)
}

// executeAgain answers for a portal that has given all its rows: there are no
// more.
func (s *session) executeAgain(p *portal) error {
	if p.fields == nil {
		return failure("55000", "the portal cannot be run again")
	}
	s.wire.Send((&result{tag: p.st.tag(), counted: true}).done(0))
	return nil
}

func (s *session) executePortal(p *portal, limit int64) error {
	if p.result == nil {
		if err := s.openPortal(p); err != nil {
			return err
		}
	}
	n, more := int64(0), false
	var err error
	switch {
	case p.result.copied != nil:
		n, err = s.sendCopy(p.ctx, p.result)
	case p.fields != nil:
		n, more, err = s.sendRows(p.ctx, p.result, p.fields, limit)
	}
	if err != nil {
		return err
	}
	if more {
		s.wire.Send(&pgproto3.PortalSuspended{})
		return nil
	}
	s.wire.Send(p.result.done(n))
	p.ended = true
	p.result.close()
	return nil
}

func (s *session) closeNamed(msg *pgproto3.Close) error {
	switch msg.ObjectType {
	case 'S':
		delete(s.statements, msg.Name)
	case 'P':
		s.closePortal(msg.Name)
	default:
		return failure(protocolViolation, "invalid CLOSE message subtype %q", msg.ObjectType)
	}
	s.wire.Send(&pgproto3.CloseComplete{})
	return nil
}

func (s *session) closePortal(name string) {
	if p := s.portals[name]; p != nil {
		p.drop()
		delete(s.portals, name)
	}
}

// dropUnnamed forgets what has no name, which lives until the next query.
func (s *session) dropUnnamed() {
	delete(s.statements, "")
	s.closePortal("")
}

// dropPortals closes what lives until the end of a transaction.
func (s *session) dropPortals() {
	for name := range s.portals {
		s.closePortal(name)
	}
	for name, c := range s.cursors {
		if !c.hold {
			c.drop()
			delete(s.cursors, name)
		}
	}
}
