// Package bare is the floor under the measurements: SQLite alone, driven by
// one goroutine with prepared statements, so many procedures a transaction.
// There are no callers to wake, no history and no DBOS. What DBOS reaches is
// shown beside it.
package bare

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/dbos-go/dbos/dbms"
)

// callSchema is the table in which the engine records each call.
const callSchema = `CREATE TABLE dbos_transaction (
	lsn INTEGER PRIMARY KEY, at INTEGER NOT NULL, procedure TEXT NOT NULL, principal TEXT NOT NULL,
	execution TEXT, step INTEGER, node TEXT NOT NULL, started_at INTEGER NOT NULL
) STRICT;`

// wide is how many calls one statement records: cheaper than one by one.
const wide = 16

// A DB is one connection to a database file.
type DB struct {
	conn          *sqlite.Conn
	begin, commit *sqlite.Stmt
	one, many     *sqlite.Stmt // inserts of 1 and of wide calls
	lsn           int64
}

// Open makes a database in an empty directory and runs the schema. The
// settings are those of the engine dbms/sqlite, and so is the size of the
// write-ahead log at which it is copied into the file.
func Open(dir string, durability dbms.Durability, schema string) (*DB, error) {
	conn, err := sqlite.OpenConn("file:"+filepath.Join(dir, "bare.db")+"?vfs=unix-excl",
		sqlite.OpenReadWrite|sqlite.OpenCreate|sqlite.OpenURI)
	if err != nil {
		return nil, err
	}
	synchronous := "FULL"
	if durability == dbms.Async {
		synchronous = "NORMAL"
	}
	d := &DB{conn: conn}
	if err := d.setUp(synchronous, schema); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return d, nil
}

func (d *DB) setUp(synchronous, schema string) error {
	for _, pragma := range []string{
		"journal_mode=WAL", "synchronous=" + synchronous, "foreign_keys=ON", "temp_store=MEMORY",
		"cache_size=-65536", "wal_autocheckpoint=2048",
	} {
		if err := sqlitex.ExecuteTransient(d.conn, "PRAGMA "+pragma, nil); err != nil {
			return err
		}
	}
	if err := sqlitex.ExecuteScript(d.conn, callSchema+schema, nil); err != nil {
		return err
	}
	for _, p := range []struct {
		stmt **sqlite.Stmt
		sql  string
	}{
		{&d.begin, "BEGIN IMMEDIATE"}, {&d.commit, "COMMIT"}, {&d.one, callInsert(1)}, {&d.many, callInsert(wide)},
	} {
		stmt, err := d.conn.Prepare(p.sql)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

func callInsert(rows int) string {
	const row = "(?,?,?,?,?,?,?,?)"
	return "INSERT INTO dbos_transaction VALUES " + row + strings.Repeat(","+row, rows-1)
}

// Prepare compiles a statement; the DB keeps it.
func (d *DB) Prepare(sql string) (*sqlite.Stmt, error) { return d.conn.Prepare(sql) }

// Close closes the database.
func (d *DB) Close() error { return d.conn.Close() }

// Group runs the procedure n times in one transaction; i counts from 0. With
// calls it records each of them in a row, as the engine does. After an error
// the database is of no more use.
func (d *DB) Group(n int, calls bool, procedure func(i int) error) error {
	if err := Run(d.begin); err != nil {
		return err
	}
	for i := range n {
		if err := procedure(i); err != nil {
			return err
		}
	}
	if calls {
		if err := d.record(n); err != nil {
			return err
		}
	}
	return Run(d.commit)
}

// record inserts n rows of calls.
func (d *DB) record(n int) error {
	now := time.Now().UnixMicro()
	for n > 0 {
		stmt, rows := d.one, 1
		if n >= wide {
			stmt, rows = d.many, wide
		}
		for i := range rows {
			d.lsn++
			at := i*8 + 1
			stmt.BindInt64(at, d.lsn)
			stmt.BindInt64(at+1, now)
			stmt.BindText(at+2, "bench.procedure")
			stmt.BindText(at+3, "bench")
			stmt.BindNull(at + 4)
			stmt.BindNull(at + 5)
			stmt.BindText(at+6, "node/1/0")
			stmt.BindInt64(at+7, now)
		}
		if err := Run(stmt); err != nil {
			return err
		}
		n -= rows
	}
	return nil
}

// Run steps a statement that returns nothing of interest to its end.
func Run(stmt *sqlite.Stmt) error {
	for {
		row, err := stmt.Step()
		if err != nil {
			return err
		}
		if !row {
			return stmt.Reset()
		}
	}
}
