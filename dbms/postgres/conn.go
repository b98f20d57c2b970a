package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/dbms"
)

// A conn is one connection, used by one transaction at a time. It speaks the
// extended query protocol (PostgreSQL, chapter "Message Flow") itself, because
// the engine wants what no driver offers: several statements in one implicit
// transaction with their results in between (Flush), ended by one Sync.
type conn struct {
	pg    *pgconn.PgConn
	front *pgproto3.Frontend
	name  string // application_name, which no other connection has
	born  time.Time
	named bool // statements may be kept by name

	statements statementCache
	ahead      int  // statements sent whose results are not read yet
	portals    int  // how many were named
	failed     bool // the server skips everything up to the next Sync
	unsynced   bool // something was sent since the last Sync
	broken     bool // not to be used again
	inBlock    bool // an explicit transaction block is open
}

// errBroken is returned for a connection that an earlier failure left unusable.
var errBroken = errors.New("the connection to the server is broken")

// readOnlySession is the setting of sessions that only read.
const readOnlySession = "default_transaction_read_only"

// connects counts connections, to name them.
var connects atomic.Int64

// connect opens a connection with session parameters.
func connect(ctx context.Context, config *pgconn.Config, name string, params map[string]string) (*conn, error) {
	config = config.Copy()
	for k, v := range params {
		config.RuntimeParams[k] = v
	}
	if _, readOnly := params[readOnlySession]; readOnly {
		// For target_session_attrs=read-write pgconn asks whether the session
		// may write, and would take a primary for a standby.
		delete(config.RuntimeParams, readOnlySession)
		config.AfterConnect = func(ctx context.Context, pg *pgconn.PgConn) error {
			return pg.Exec(ctx, "SET "+readOnlySession+" TO on").Close()
		}
	}
	name = fmt.Sprintf("%s.%d", name, connects.Add(1))
	config.RuntimeParams["application_name"] = name
	pg, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	c := &conn{pg: pg, front: pg.Frontend(), name: name, born: time.Now(), named: true}
	c.statements.reset()
	return c, nil
}

// closeTimeout bounds a polite goodbye.
const closeTimeout = time.Second

func (c *conn) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.pg.Close(ctx) // the server may be gone, which is the same
}

// fail marks the connection as unusable.
func (c *conn) fail(err error) error {
	c.broken = true
	return err
}

// flush sends what is queued.
func (c *conn) flush() error {
	if c.broken {
		return errBroken
	}
	if err := c.front.Flush(); err != nil {
		return c.fail(fmt.Errorf("%w: %w", errBroken, err))
	}
	return nil
}

// receive returns the next message that belongs to a statement.
func (c *conn) receive() (pgproto3.BackendMessage, error) {
	for {
		m, err := c.front.Receive()
		if err != nil {
			return nil, c.fail(fmt.Errorf("%w: %w", errBroken, err))
		}
		switch m := m.(type) {
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus, *pgproto3.NotificationResponse:
			continue
		case *pgproto3.ErrorResponse:
			c.failed = true
			err := pgconn.ErrorResponseToPgError(m)
			if m.Severity == "FATAL" || m.Severity == "PANIC" {
				c.broken = true
			}
			return nil, err
		default:
			return m, nil
		}
	}
}

// queue adds a statement without result to what is sent next.
func (c *conn) queue(s *statement, params []param) {
	c.bind(s, "", params)
	c.front.SendExecute(&pgproto3.Execute{})
	c.ahead++
	c.unsynced = true
}

// bind adds a Bind of a statement, and its Parse if it has no name.
func (c *conn) bind(s *statement, portal string, params []param) {
	name := s.name
	if name == "" {
		name = c.parse(s)
	}
	b := &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name, ResultFormatCodes: s.formats}
	for _, p := range params {
		b.ParameterFormatCodes = append(b.ParameterFormatCodes, p.format)
		b.Parameters = append(b.Parameters, p.bytes)
	}
	c.front.SendBind(b)
	c.unsynced = true
}

// drain reads the results of statements that were sent ahead.
func (c *conn) drain() error {
	for c.ahead > 0 {
		m, err := c.receive()
		if err != nil {
			return err
		}
		c.settle(m)
	}
	return nil
}

// drainNow sends what is queued and reads its results.
func (c *conn) drainNow() error {
	c.front.Send(&pgproto3.Flush{})
	if err := c.flush(); err != nil {
		return err
	}
	return c.drain()
}

// settle counts the end of a statement that was sent ahead.
func (c *conn) settle(m pgproto3.BackendMessage) {
	switch m.(type) {
	case *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse:
		c.ahead--
	}
}

// sync ends what was begun: the implicit transaction is committed, or, after
// an error, rolled back. It returns the first error of what had been sent.
func (c *conn) sync() error {
	c.front.SendSync(&pgproto3.Sync{})
	if err := c.flush(); err != nil {
		return err
	}
	return c.ready()
}

// ready reads up to the answer to a Sync.
func (c *conn) ready() error {
	var first error
	for {
		m, err := c.receive()
		if c.broken {
			return errors.Join(first, err)
		}
		if err != nil && first == nil {
			first = err
		}
		if r, ok := m.(*pgproto3.ReadyForQuery); ok {
			c.statements.parsed(c.failed)
			c.failed, c.unsynced, c.ahead = false, false, 0
			c.inBlock = r.TxStatus != 'I'
			return first
		}
	}
}

// A result is what a statement gave so far.
type result struct {
	rows     [][]dbms.Value
	tag      string
	complete bool // there are no more rows
}

// run executes a statement in the open transaction and reads its first rows,
// at most limit of them; 0 means all. The portal's name is for reading on.
func (c *conn) run(s *statement, portal string, params []param, limit uint32) (result, error) {
	c.bind(s, portal, params)
	return c.fetch(s, portal, limit)
}

// fetch reads rows of a portal.
func (c *conn) fetch(s *statement, portal string, limit uint32) (result, error) {
	c.front.SendExecute(&pgproto3.Execute{Portal: portal, MaxRows: limit})
	c.front.Send(&pgproto3.Flush{})
	c.unsynced = true
	var r result
	if err := c.flush(); err != nil {
		return r, err
	}
	if err := c.drain(); err != nil {
		return r, err
	}
	for {
		m, err := c.receive()
		if err != nil {
			return r, err
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			row, err := s.decode(m.Values)
			if err != nil {
				return r, c.fail(err) // the stream stands in the middle
			}
			r.rows = append(r.rows, row)
		case *pgproto3.PortalSuspended:
			return r, nil
		case *pgproto3.CommandComplete:
			r.tag, r.complete = string(m.CommandTag), true
			return r, nil
		case *pgproto3.EmptyQueryResponse:
			r.complete = true
			return r, errEmpty
		case *pgproto3.CopyInResponse, *pgproto3.CopyOutResponse, *pgproto3.CopyBothResponse:
			return r, c.fail(errCopy)
		}
	}
}
