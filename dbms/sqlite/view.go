package sqlite

import (
	"context"
	"errors"
	"runtime"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// readers is the pool of snapshot connections.
type readers struct {
	dir   string
	idle  chan *reader  // open and unused
	slots chan struct{} // one for each that may still be opened
}

// A reader is a connection that sees one snapshot at a time.
type reader struct {
	conn                *conn
	begin, version, end *sqlite.Stmt
}

func newReaders(dir string) *readers {
	n := max(4, 2*runtime.GOMAXPROCS(0))
	p := &readers{dir: dir, idle: make(chan *reader, n), slots: make(chan struct{}, n)}
	for range n {
		p.slots <- struct{}{}
	}
	return p
}

// get returns an unused reader, opening one if need be.
func (p *readers) get(ctx context.Context) (*reader, error) {
	select {
	case r := <-p.idle:
		return r, nil
	default:
	}
	select {
	case r := <-p.idle:
		return r, nil
	case <-p.slots:
		r, err := p.open()
		if err != nil {
			p.slots <- struct{}{}
		}
		return r, err
	case <-ctx.Done():
		return nil, stopCause(ctx)
	}
}

func (p *readers) open() (*reader, error) {
	c, err := openConn(p.dir, "query_only=ON", "temp_store=MEMORY", "cache_size=-16384")
	if err != nil {
		return nil, err
	}
	r := &reader{conn: c}
	if err := r.prepare(); err != nil {
		c.close()
		return nil, err
	}
	return r, nil
}

func (r *reader) prepare() error {
	if err := r.conn.numbers(&numbers{}); err != nil {
		return err
	}
	for _, p := range []struct {
		stmt **sqlite.Stmt
		sql  string
	}{{&r.begin, "BEGIN"}, {&r.version, "PRAGMA schema_version"}, {&r.end, "ROLLBACK"}} {
		var err error
		if *p.stmt, err = r.conn.raw.Prepare(p.sql); err != nil {
			return sqlError("sqlite.open", err)
		}
	}
	return nil
}

// close closes all readers; it waits for the ones in use.
func (p *readers) close() error {
	var errs []error
	for range cap(p.idle) {
		select {
		case r := <-p.idle:
			errs = append(errs, r.conn.close())
		case <-p.slots:
		}
	}
	return errors.Join(errs...)
}

// View implements dbms.DB.
func (db *DB) View(ctx context.Context, fn func(dbms.Tx) error) error {
	if err := db.enter("dbms.view"); err != nil {
		return err
	}
	defer db.users.Done()
	if ctx.Err() != nil {
		return stopCause(ctx)
	}
	r, err := db.readers.get(ctx)
	if err != nil {
		return err
	}
	defer func() { db.readers.idle <- r }()
	return r.view(ctx, db.writer.clock.Micros(), fn)
}

// start begins a snapshot, and forgets statements that were compiled for other
// definitions than the snapshot's.
func (r *reader) start() error {
	r.conn.auth.begin(false)
	if err := step(r.begin); err != nil {
		return sqlError("sqlite.view", err)
	}
	if _, err := r.version.Step(); err != nil {
		return sqlError("sqlite.view", err)
	}
	version := r.version.ColumnInt64(0)
	r.version.Reset()
	if version == r.conn.schema {
		return nil
	}
	r.conn.forget()
	r.conn.schema = version
	// Reading any table makes the connection read the definitions again.
	_, err := r.conn.integer("SELECT count(*) FROM dbos_migration WHERE owner = ''")
	return err
}

// view runs fn on a snapshot.
func (r *reader) view(ctx context.Context, now int64, fn func(dbms.Tx) error) (err error) {
	if ctx.Done() != nil {
		r.conn.raw.SetInterrupt(ctx.Done())
	}
	if err := r.start(); err != nil {
		return r.finish(ctx, err)
	}
	t := &tx{conn: r.conn, now: now}
	t.lsn = func() (dbms.LSN, error) {
		lsn, err := r.conn.integer("SELECT max(lsn) FROM dbos_transaction")
		return dbms.LSN(lsn), err
	}
	defer func() {
		// Also when fn panics or exits.
		t.end()
		err = r.finish(ctx, err)
	}()
	err = fn(t)
	if err == nil {
		err = t.failed
	}
	return err
}

// finish ends the snapshot and says whether the context ended it.
func (r *reader) finish(ctx context.Context, err error) error {
	if ctx.Done() != nil {
		r.conn.raw.SetInterrupt(nil)
	}
	step(r.end)
	if err != nil && ctx.Err() != nil && errors.Is(err, abi.Canceled) {
		e := stopCause(ctx)
		e.Op = "dbms.view"
		return e
	}
	return err
}
