package pgwire

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// startupTime is how long a client has from its connection until it has said
// who it is.
const startupTime = 10 * time.Second

// A session is a connected client.
type session struct {
	endpoint *Endpoint
	source   Source
	conn     *clientConn
	wire     *pgproto3.Backend
	pid      uint32
	secret   []byte
	// ctx ends when the endpoint has no more time for statements.
	ctx      context.Context
	user     string
	database string

	settings   settings
	block      block
	statements map[string]*prepared
	portals    map[string]*portal
	cursors    map[string]*portal
	// skipping says that a message failed, and that the ones up to the next
	// Sync are ignored.
	skipping bool
	unsent   int // bytes since the last flush, about

	mu sync.Mutex
	// current ends what is being done for the client now.
	current context.CancelCauseFunc
}

// Why statements end early.
var (
	errCanceled = errors.New("canceling statement due to user request")
	errTooLong  = errors.New("canceling statement due to statement timeout")
	errGone     = errors.New("the client has gone")
	errShutdown = errors.New("terminating connection: the endpoint closes")
)

// serve speaks with a client until either has enough.
func (e *Endpoint) serve(conn net.Conn) {
	defer conn.Close()
	s := &session{
		endpoint: e, source: e.source, ctx: e.ending, settings: newSettings(e.config), block: block{state: idle},
		conn:       &clientConn{Conn: conn, write: e.config.write},
		statements: map[string]*prepared{}, portals: map[string]*portal{}, cursors: map[string]*portal{},
	}
	s.wire = pgproto3.NewBackend(s.conn, s.conn)
	s.wire.SetMaxBodyLen(MaxMessage)
	defer func() {
		if cause := recover(); cause != nil {
			e.config.log.Error("a session has failed", "cause", cause)
		}
	}()
	if err := conn.SetReadDeadline(time.Now().Add(startupTime)); err != nil {
		return
	}
	if !s.start() {
		return
	}
	defer e.leave(s)
	defer s.end()
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	stop := context.AfterFunc(e.closing, func() { conn.SetReadDeadline(aLongTimeAgo) })
	defer stop()
	s.loop()
}

// end releases what the client left open.
func (s *session) end() {
	s.dropPortals()
	for _, c := range s.cursors {
		c.drop()
	}
}

// start greets the client. It reports whether there is a session then.
func (s *session) start() bool {
	for {
		msg, err := s.wire.ReceiveStartupMessage()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.fatal(protocolViolation, "the first message cannot be read: %v", err)
			}
			return false
		}
		switch msg := msg.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			// Not on the loopback interface.
			if _, err := s.conn.Write([]byte{'N'}); err != nil {
				return false
			}
		case *pgproto3.CancelRequest:
			s.endpoint.cancel(msg.ProcessID, msg.SecretKey)
			return false
		case *pgproto3.StartupMessage:
			return s.greet(msg.Parameters)
		default:
			s.fatal(protocolViolation, "%T is no first message", msg)
			return false
		}
	}
}

func (s *session) greet(parameters map[string]string) bool {
	s.user, s.database = parameters["user"], parameters["database"]
	if s.user == "" {
		s.fatal("28000", "no user name is given in the first message")
		return false
	}
	if s.database == "" {
		s.database = s.user
	}
	if !s.admit() {
		return false
	}
	for name, value := range startupSettings(parameters) {
		if err := s.set(s.ctx, name, value, false); err != nil {
			s.sendError(err, "FATAL", nil)
			s.wire.Flush()
			return false
		}
	}
	if s.endpoint.closing.Err() != nil {
		s.fatal("57P03", "%v", errShutdown)
		return false
	}
	if !s.endpoint.enter(s) {
		s.fatal("53300", "there are already %d clients", s.endpoint.config.connections)
		return false
	}
	s.wire.Send(&pgproto3.AuthenticationOk{})
	for _, name := range reported {
		value, _ := s.show(name)
		s.wire.Send(&pgproto3.ParameterStatus{Name: reportedName(name), Value: value})
	}
	s.wire.Send(&pgproto3.BackendKeyData{ProcessID: s.pid, SecretKey: s.secret})
	if s.ready() != nil {
		s.endpoint.leave(s)
		return false
	}
	return true
}

// admit lets the client in if this process's user runs it, or if it knows the
// password, and remembers in whose name it asks.
func (s *session) admit() bool {
	owner, err := peerOwner(s.conn.Conn)
	if err == nil && owner.self {
		s.ctx = dbos.WithPrincipal(s.ctx, owner.principal)
		return true
	}
	if s.endpoint.config.password == "" {
		e := abi.Errorf("pgwire.connect", abi.Denied, "", "clients of another user need a password, and this endpoint has none").
			WithHint("start the endpoint with a password, as dbos serve --help says")
		if err != nil {
			e = abi.Errorf("pgwire.connect", abi.Denied, "", "nobody can tell who runs this client (%w), so it needs a password, and this endpoint has none", err).
				WithHint("start the endpoint with a password, as dbos serve --help says")
		}
		s.sendError(&sqlError{code: "28000", err: e}, "FATAL", nil)
		s.wire.Flush()
		return false
	}
	s.wire.Send(&pgproto3.AuthenticationCleartextPassword{})
	if s.wire.Flush() != nil {
		return false
	}
	msg, err := s.wire.Receive()
	if err != nil {
		return false // psql hangs up to ask its user for the password
	}
	given, ok := msg.(*pgproto3.PasswordMessage)
	if !ok {
		s.fatal(protocolViolation, "a password was expected, not %T", msg)
		return false
	}
	if subtle.ConstantTimeCompare([]byte(given.Password), []byte(s.endpoint.config.password)) != 1 {
		s.fatal("28P01", "password authentication failed for user %q", s.user)
		return false
	}
	name := abi.Principal("sql:" + s.user)
	if owner.principal != "" {
		name = owner.principal
	}
	s.ctx = dbos.WithPrincipal(s.ctx, name)
	return true
}

// loop answers messages until the client or the endpoint ends it.
func (s *session) loop() {
	for {
		if s.endpoint.closing.Err() != nil {
			s.fatal("57P01", "%v", errShutdown)
			return
		}
		msg, err := s.wire.Receive()
		if err != nil {
			s.hangUp(err)
			return
		}
		if s.skipping {
			switch msg.(type) {
			case *pgproto3.Sync, *pgproto3.Terminate:
			default:
				continue
			}
		}
		if more := s.answer(msg); !more {
			return
		}
	}
}

// hangUp says why no further message is read, where the client can know.
func (s *session) hangUp(err error) {
	tooLong, ok := errors.AsType[*pgproto3.ExceededMaxBodyLenErr](err)
	switch {
	case s.endpoint.closing.Err() != nil:
		s.fatal("57P01", "%v", errShutdown)
	case ok:
		s.fatal("54000", "a message has %d bytes, and at most %d are read", tooLong.ActualBodyLen, tooLong.MaxExpectedBodyLen)
	default:
		if _, ok := errors.AsType[net.Error](err); !ok && !strings.Contains(err.Error(), "EOF") {
			s.fatal(protocolViolation, "a message cannot be read: %v", err)
		}
	}
}

// answer answers one message, and reports whether another may come.
func (s *session) answer(msg pgproto3.FrontendMessage) bool {
	var err error
	switch msg := msg.(type) {
	case *pgproto3.Query:
		s.simpleQuery(msg.String)
		err = s.ready()
	case *pgproto3.Parse:
		s.extended(func() error { return s.parse(msg) })
	case *pgproto3.Bind:
		s.extended(func() error { return s.bind(msg) })
	case *pgproto3.Describe:
		s.extended(func() error { return s.describe(msg) })
	case *pgproto3.Execute:
		s.extended(func() error { return s.execute(msg) })
	case *pgproto3.Close:
		s.extended(func() error { return s.closeNamed(msg) })
	case *pgproto3.Flush:
		err = s.flush()
	case *pgproto3.Sync:
		s.skipping = false
		if s.block.state == idle {
			s.dropPortals()
		}
		err = s.ready()
	case *pgproto3.Terminate:
		return false
	case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CopyFail:
		// Of a COPY that was refused: the client did not know yet.
	default:
		s.fatal(protocolViolation, "%T is not understood", msg)
		return false
	}
	return err == nil && s.ctx.Err() == nil
}

// ready says that the next statement may come.
func (s *session) ready() error {
	s.wire.Send(&pgproto3.ReadyForQuery{TxStatus: byte(s.block.state)})
	return s.flush()
}

// flush sends what has been collected.
func (s *session) flush() error {
	s.unsent = 0
	return s.wire.Flush()
}

// fatal sends an error after which the connection ends.
func (s *session) fatal(code, format string, args ...any) {
	s.sendError(&sqlError{code: code, err: fmt.Errorf(format, args...)}, "FATAL", nil)
	s.wire.Flush()
}

// interrupt ends what is being done for the client now, if something is.
func (s *session) interrupt(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		s.current(cause)
	}
}

// within does something that may take long and that cancel ends: when the
// client asks for it, hangs up, or the time for a statement is over.
func (s *session) within(ctx context.Context, cancel context.CancelCauseFunc, fn func() error) error {
	s.mu.Lock()
	s.current = cancel
	s.mu.Unlock()
	stop := s.conn.watch(func() { cancel(errGone) })
	if d := s.settings.statementTime(); d > 0 {
		timer := time.AfterFunc(d, func() { cancel(errTooLong) })
		defer timer.Stop()
	}
	err := fn()
	stop()
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		if s.ctx.Err() != nil {
			return errShutdown
		}
		return context.Cause(ctx)
	}
	return err
}
