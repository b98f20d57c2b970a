package main

import (
	"fmt"
	"path/filepath"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
)

// rows are events as rows of SQLite, with the indexes that the questions ask for.
type rows struct {
	dir  string
	conn *sqlite.Conn
}

const rowsSchema = `CREATE TABLE call (lsn INTEGER PRIMARY KEY, time INTEGER, procedure TEXT, principal TEXT, execution TEXT, step INTEGER);
CREATE TABLE change (lsn INTEGER PRIMARY KEY, commit_lsn INTEGER, tab TEXT, op TEXT, id INTEGER, owner TEXT, balance INTEGER, region TEXT, visits INTEGER, note TEXT);
CREATE INDEX change_row ON change (tab, id, lsn);
CREATE INDEX change_commit ON change (commit_lsn);
CREATE INDEX call_principal ON call (principal)`

func openSQLite(dir string) (store, error) {
	conn, err := sqlite.OpenConn(filepath.Join(dir, "events.db"), sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, err
	}
	for _, pragma := range []string{"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA cache_size = -262144"} {
		if err := sqlitex.ExecuteTransient(conn, pragma, nil); err != nil {
			return nil, err
		}
	}
	return &rows{dir: dir, conn: conn}, sqlitex.ExecuteScript(conn, rowsSchema, nil)
}

func (r *rows) add(commits []dbms.Commit) (err error) {
	end, err := sqlitex.ImmediateTransaction(r.conn)
	if err != nil {
		return err
	}
	defer end(&err)
	call, err := r.conn.Prepare("INSERT INTO call VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	change, err := r.conn.Prepare("INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for i := range commits {
		c := &commits[i]
		err := step(call, int64(c.LSN), c.Time.UnixMicro(), c.Call.Procedure, string(c.Call.Principal), c.Call.Execution, int64(c.Call.Step))
		if err != nil {
			return err
		}
		for j := range c.Changes {
			ch := &c.Changes[j]
			if ch.Op == dbms.Define {
				continue
			}
			err := step(change, int64(ch.LSN), int64(c.LSN), ch.Table, string(ch.Op), ch.Row[0], ch.Row[1], ch.Row[2], ch.Row[3], ch.Row[4], ch.Row[5])
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// step runs a statement that returns nothing.
func step(s *sqlite.Stmt, args ...any) error {
	for i, a := range args {
		switch v := a.(type) {
		case int64:
			s.BindInt64(i+1, v)
		case string:
			s.BindText(i+1, v)
		default:
			s.BindNull(i + 1)
		}
	}
	if _, err := s.Step(); err != nil {
		return err
	}
	return s.Reset()
}

func (r *rows) finish() error {
	return sqlitex.ExecuteTransient(r.conn, "PRAGMA wal_checkpoint(TRUNCATE)", nil)
}

func (r *rows) size() int64 {
	n, err := measure.DiskSize(r.dir)
	if err != nil {
		return 0
	}
	return n
}

func (r *rows) close() error { return r.conn.Close() }

func (r *rows) text(sql string, args ...any) (string, error) {
	text := ""
	err := sqlitex.ExecuteTransient(r.conn, sql, &sqlitex.ExecOptions{Args: args, ResultFunc: func(s *sqlite.Stmt) error {
		for i := range s.ColumnCount() {
			text += s.ColumnText(i) + " "
		}
		text += "; "
		return nil
	}})
	return text, err
}

func (r *rows) touched(id int64) (string, error) {
	return r.text("SELECT count(DISTINCT principal) FROM change JOIN call ON call.lsn = commit_lsn WHERE tab = 'account' AND id = ?", id)
}

func (r *rows) changed(after, upto dbms.LSN) (string, error) {
	return r.text("SELECT count(DISTINCT id) FROM change WHERE tab = 'account' AND lsn > ? AND lsn <= ?", int64(after), int64(upto))
}

func (r *rows) state(at dbms.LSN) (string, error) {
	// SQLite gives the other columns of the row that has the maximum.
	return r.text(fmt.Sprintf("SELECT count(*), sum(balance) FROM (SELECT max(lsn), balance FROM change WHERE tab = 'account' AND lsn <= %d GROUP BY id)", at))
}

func (r *rows) did(principal string) (string, error) {
	return r.text("SELECT tab, count(*) FROM call JOIN change ON commit_lsn = call.lsn WHERE principal = ? GROUP BY 1 ORDER BY 1", principal)
}

func (r *rows) top() (string, error) {
	return r.text("SELECT tab, count(*) AS n FROM change GROUP BY 1 ORDER BY n DESC, 1")
}
