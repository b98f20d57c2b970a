package sqlite

import (
	"container/list"
	"fmt"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// databaseFile is the database within a data directory.
const databaseFile = "dbos.db"

const engine = "sqlite"

// maxTexts is how many prepared application statements a connection keeps.
const maxTexts = 256

// A conn is one SQLite connection with its prepared statements. It is used by
// one goroutine at a time.
type conn struct {
	raw  *sqlite.Conn
	auth authorizer

	queries map[*dbms.Query]*statement // services' statements, kept for ever
	texts   map[string]*list.Element   // applications' statements, of *statement
	recent  *list.List                 // texts by last use, newest first
	schema  int64                      // SQLite's version of the definitions that they were compiled for
	// interrupt stops running and later statements when it is closed.
	interrupt chan struct{}
}

// openConn opens a connection to the database file of a data directory.
func openConn(dir string, pragmas ...string) (*conn, error) {
	const flags = sqlite.OpenReadWrite | sqlite.OpenCreate | sqlite.OpenURI
	raw, err := sqlite.OpenConn(fileURI(dir), flags)
	if err != nil {
		return nil, sqlError("sqlite.open", err)
	}
	c := &conn{
		raw:     raw,
		queries: map[*dbms.Query]*statement{},
		texts:   map[string]*list.Element{},
		recent:  list.New(),
	}
	c.rearm()
	for _, p := range pragmas {
		if err := c.script("PRAGMA " + p); err != nil {
			raw.Close()
			return nil, err
		}
	}
	if err := raw.SetAuthorizer(&c.auth); err != nil {
		raw.Close()
		return nil, sqlError("sqlite.open", err)
	}
	return c, nil
}

// fileURI names the database file. The unix-excl VFS keeps the WAL index in
// memory, serves several connections of one process, and shuts out others.
func fileURI(dir string) string {
	path := filepath.Join(dir, databaseFile)
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path)
	return "file:" + escaped + "?vfs=unix-excl"
}

// rearm makes the connection usable again after an interrupt.
func (c *conn) rearm() {
	c.interrupt = make(chan struct{})
	c.raw.SetInterrupt(c.interrupt)
}

func (c *conn) close() error {
	c.forget()
	return c.raw.Close()
}

// forget empties the caches after a change of definitions: a statement that
// was compiled before it may do other things, or have other columns, after it.
// Statements in use are finalized when they are released.
func (c *conn) forget() {
	drop := func(s *statement) {
		s.kept = false
		if !s.busy {
			s.raw.Finalize()
		}
	}
	for _, s := range c.queries {
		drop(s)
	}
	for _, e := range c.texts {
		drop(e.Value.(*statement))
	}
	clear(c.queries)
	clear(c.texts)
	c.recent.Init()
}

// prepare returns the query's statement, ready to be bound. If the one that
// is kept is busy (a query inside the rows of the same query), it makes
// another, which release finalizes.
func (c *conn) prepare(q *dbms.Query) (*statement, error) {
	if !q.Application {
		if s := c.queries[q]; s != nil && !s.busy {
			s.busy = true
			return s, nil
		}
	} else if e := c.texts[q.Text(engine)]; e != nil {
		if s := e.Value.(*statement); !s.busy {
			c.recent.MoveToFront(e)
			s.busy = true
			return s, nil
		}
	}
	s, err := c.compile(q)
	if err != nil {
		return nil, err
	}
	s.busy = true
	c.keep(q, s)
	return s, nil
}

// keep puts a fresh statement in its cache, unless one is there.
func (c *conn) keep(q *dbms.Query, s *statement) {
	switch {
	case s.ddl != nil || !s.writes && len(s.columns) == 0:
		// Definitions are not changed twice alike. The second kind is one
		// that does nothing today, such as CREATE TABLE IF NOT EXISTS.
	case !q.Application:
		if c.queries[q] == nil && q.Name != dbms.SystemName {
			c.queries[q] = s
			s.kept = true
		}
	case c.texts[s.text] == nil:
		c.texts[s.text] = c.recent.PushFront(s)
		s.kept = true
		c.evict()
	}
}

// evict drops the statements that were not used for longest.
func (c *conn) evict() {
	for e := c.recent.Back(); e != nil && len(c.texts) > maxTexts; {
		s, prev := e.Value.(*statement), e.Prev()
		if !s.busy {
			c.recent.Remove(e)
			delete(c.texts, s.text)
			s.raw.Finalize()
		}
		e = prev
	}
}

// script runs one of the engine's own statements that returns nothing.
func (c *conn) script(sql string, args ...any) error {
	s, err := c.compile(dbms.System(sql))
	if err != nil {
		return err
	}
	defer s.raw.Finalize()
	if err := s.bind(args); err != nil {
		return err
	}
	_, err = s.run()
	return err
}

// scan runs one of the engine's own queries and calls row for each row.
func (c *conn) scan(sql string, row func(dbms.Rows) error, args ...any) error {
	s, err := c.compile(dbms.System(sql))
	if err != nil {
		return err
	}
	s.busy = true
	if err := s.bind(args); err != nil {
		return err
	}
	r := &rows{stmt: s}
	defer r.Close()
	for r.Next() {
		if err := row(r); err != nil {
			return err
		}
	}
	return r.Err()
}

// integer runs a query of one integer (NULL and no row give 0).
func (c *conn) integer(sql string, args ...any) (int64, error) {
	var n *int64
	err := c.scan(sql, func(r dbms.Rows) error { return r.Scan(&n) }, args...)
	if n == nil {
		return 0, err
	}
	return *n, err
}

// quote writes an identifier for SQL text.
func quote(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// literal writes a string constant for SQL text.
func literal(s string) string {
	return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
}

func badArgument(format string, args ...any) error {
	return abi.Errorf("sqlite.bind", abi.Invalid, "arguments", "%s", fmt.Sprintf(format, args...))
}
