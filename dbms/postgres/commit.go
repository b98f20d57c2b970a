package postgres

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Statements that begin, divide and end transactions.
var (
	savepoint           = &statement{text: "SAVEPOINT dbos"}
	releaseSavepoint    = &statement{text: "RELEASE SAVEPOINT dbos"}
	rollbackToSavepoint = &statement{text: "ROLLBACK TO SAVEPOINT dbos"}
	beginBlock          = &statement{text: "BEGIN"}
	commitBlock         = &statement{text: "COMMIT"}
	rollbackBlock       = &statement{text: "ROLLBACK"}
	actAsSystem         = &statement{text: "SELECT set_config('role', 'none', true)", constant: true}
	noRole              = &statement{text: "SET LOCAL ROLE NONE"}
	takeSnapshot        = &statement{text: "SELECT 1"}
)

// recordCall records a call and takes its ticket: see horizon. It is a
// transaction's last statement, so that the lock is held for no longer than
// the commit takes.
const recordCall = `INSERT INTO dbos_transaction (lsn, at, procedure, principal, execution, step, node, started_at, nonce, xid, wal, note, snapshot)
SELECT nextval('dbos_lsn'), $1, $2, $3, nullif($4, ''), CASE WHEN $4 <> '' THEN $5::bigint END, $6, $7, $8, pg_current_xact_id()::text::bigint, wal,
	$10::bytea, CASE WHEN $10::bytea IS NOT NULL THEN pg_current_snapshot()::text END
FROM (SELECT pg_current_wal_insert_lsn() AS wal FROM pg_advisory_xact_lock_shared($9) OFFSET 0) AS ticket
RETURNING lsn`

// begin sends what the run needs before its first statement. An implicit
// transaction needs nothing.
func (t *tx) begin(ctx context.Context) error {
	c := t.conn
	switch {
	case t.db.settings.pooled:
		for _, s := range t.db.prologue(t.mode.purpose) {
			c.queue(s, nil)
		}
		c.inBlock = true
	case t.mode.savepoints || t.mode.turn || t.mode.exclusive != nil:
		c.queue(beginBlock, nil)
		c.inBlock = true
	}
	if t.mode.turn && !t.mode.readOnly || t.mode.exclusive != nil {
		// LOCK takes no snapshot: that comes after the wait.
		c.queue(noRole, nil)
		t.app = false
		for _, s := range t.mode.exclusive {
			c.queue(s, nil)
		}
		if t.mode.turn {
			c.queue(t.db.lockTurn, nil)
		}
		if !t.guard.enter() {
			return stopCause(ctx)
		}
		defer t.guard.leave()
		if err := c.drainNow(); err != nil {
			return err
		}
	}
	if t.mode.anchored {
		return t.anchor(ctx)
	}
	return nil
}

// prologue begins a transaction behind a pooler, where a session's settings
// are the last user's.
func (db *DB) prologue(p purpose) []*statement {
	var b strings.Builder
	b.WriteString("BEGIN ISOLATION LEVEL " + p.isolation)
	if p.readOnly {
		b.WriteString(" READ ONLY")
	}
	list := []*statement{
		{text: b.String()},
		{text: "SET LOCAL search_path TO " + db.settings.schema},
		{text: "SET LOCAL timezone TO 'UTC'"},
		{text: "SET LOCAL dbos.node TO 'node'"},
	}
	if p.app {
		list = append(list, &statement{text: "SET LOCAL ROLE " + appRole(db.settings.schema)})
	}
	if p.byKey {
		for name, value := range keyPlans {
			list = append(list, &statement{text: "SET LOCAL " + name + " TO " + value})
		}
	}
	if p == forItself {
		list = append(list, &statement{text: "SET LOCAL idle_in_transaction_session_timeout TO '" + barrierTimeout + "'"})
	}
	if db.async() && !p.readOnly {
		list = append(list, &statement{text: "SET LOCAL synchronous_commit TO off"})
	}
	return list
}

// rollback takes back what the run did, if anything.
func (t *tx) rollback() {
	c := t.conn
	if c.broken || !c.unsynced && !c.inBlock {
		return
	}
	if c.failed {
		if _ = c.sync(); c.broken {
			return
		}
	} else if !c.inBlock && !t.mode.readOnly {
		// BEGIN makes the implicit transaction an explicit one, which
		// ROLLBACK then ends without a warning.
		c.queue(beginBlock, nil)
		c.inBlock = true
	}
	if c.inBlock {
		c.queue(rollbackBlock, nil)
	}
	if c.unsynced {
		_ = c.sync() // a connection on which this fails is not clean, and closed
	}
}

// commit commits a run whose function has returned nil.
func (u *update) commit(l *lease, t *tx) bool {
	t.guard.stop() // a cancelled context does not stop it any more
	if t.guard.leave(); l.broken {
		l.discard()
		return u.unconnected(errBroken)
	}
	nonce := rand.Int64()
	before := u.db.last.Load()
	lsn, err := u.send(l, t, nonce)
	if err == nil {
		u.lsn = dbms.LSN(lsn)
		t.guard.giveBack(l)
		u.committed(t)
		return true
	}
	if l.broken {
		name := l.name
		l.discard()
		return u.settle(t, name, nonce, before)
	}
	t.rollback()
	t.guard.giveBack(l)
	if conflicts(err) {
		return u.conflicted(err)
	}
	return u.end(serverError("dbms.update", err))
}

// send sends the call's record and the commit, in one message.
func (u *update) send(l *lease, t *tx, nonce int64) (int64, error) {
	defer limitCommit(u.caller, l.conn, u.db.timeout+commitPatience)()
	t.actAs(false)
	c := u.call
	args := []any{t.now, c.Procedure, string(c.Principal), c.Execution, int64(c.Step), c.Node, c.Start.UnixMicro(), nonce, u.db.ticketLock, t.noted()}
	s, params, err := l.prepared(recordCall, args)
	if err != nil {
		return 0, err
	}
	rows, err := l.finish(s, params)
	if err != nil {
		return 0, err
	}
	return rows[0][0].(int64), nil
}

const (
	// commitPatience is how much longer than a function a commit may take.
	commitPatience = 5 * time.Second
	// afterCaller is how long a commit, and the search for its outcome, go on
	// when the caller's context has ended.
	afterCaller = 2 * time.Second
)

// limitCommit breaks the connection of a commit that is not answered, at the
// latest after a time. The function that it returns ends that.
func limitCommit(caller context.Context, c *conn, most time.Duration) func() {
	answered := make(chan struct{})
	var mu sync.Mutex // so that nothing is cut after the end
	cut := func() {
		mu.Lock()
		defer mu.Unlock()
		select {
		case <-answered:
		default:
			c.cut()
		}
	}
	limit := time.AfterFunc(most, cut)
	stop := context.AfterFunc(caller, func() { limit.Reset(min(most, afterCaller)) })
	return func() {
		stop()
		limit.Stop()
		mu.Lock()
		defer mu.Unlock()
		close(answered)
	}
}

// prepared prepares one of the engine's own statements, with all arguments'
// types inferred.
func (c *conn) prepared(text string, args []any) (*statement, []param, error) {
	s, err := c.prepare(text, nil, true)
	if err != nil {
		return nil, nil, err
	}
	values := make([]dbms.Value, len(args))
	for i, arg := range args {
		if values[i], err = dbms.ToValue(arg); err != nil {
			return nil, nil, err
		}
	}
	params, err := s.encode(values, args)
	return s, params, err
}

// finish sends a last statement together with the commit and returns the
// statement's rows. An error after which the connection is broken leaves it
// open whether the server has committed.
func (c *conn) finish(s *statement, params []param) ([][]dbms.Value, error) {
	c.bind(s, "", params)
	c.front.SendExecute(&pgproto3.Execute{})
	if c.inBlock {
		c.bind(commitBlock, "", nil)
		c.front.SendExecute(&pgproto3.Execute{})
	}
	c.front.SendSync(&pgproto3.Sync{})
	if err := c.flush(); err != nil {
		return nil, err
	}
	var rows [][]dbms.Value
	for ahead := c.ahead; ; {
		m, err := c.receive()
		if c.broken {
			return nil, err
		}
		if err != nil {
			return nil, errors.Join(err, c.readyAfter())
		}
		switch m := m.(type) {
		case *pgproto3.CommandComplete, *pgproto3.EmptyQueryResponse:
			ahead--
		case *pgproto3.DataRow:
			if ahead > 0 {
				continue // of what was sent ahead
			}
			row, err := s.decode(m.Values)
			if err != nil {
				return nil, c.fail(err)
			}
			rows = append(rows, row)
		case *pgproto3.ReadyForQuery:
			c.failed, c.unsynced, c.ahead, c.inBlock = false, false, 0, m.TxStatus != 'I'
			c.statements.parsed(false)
			return rows, nil
		}
	}
}

// readyAfter reads the answer to a Sync after an error that is reported
// already. Its own error is that of the connection.
func (c *conn) readyAfter() error {
	if err := c.ready(); c.broken {
		return err
	}
	return nil
}

// committed tells of the commit.
func (u *update) committed(t *tx) {
	u.db.advance(u.lsn)
	if t.redefine {
		u.db.generation.Add(1)
	}
	u.db.signal(t.notified)
}

// settle finds out whether a commit was done whose connection broke.
func (u *update) settle(t *tx, name string, nonce, before int64) bool {
	lsn, err := u.db.resolve(u.caller, name, nonce, before)
	switch {
	case err != nil:
		return u.end(err)
	case lsn == 0:
		return u.unconnected(errBroken)
	}
	u.lsn = dbms.LSN(lsn)
	u.committed(t)
	return true
}

// errUnknown is the error of a commit whose outcome cannot be found out.
func errUnknown(cause error) error {
	return abi.Errorf("dbms.update", abi.Unknown, "commit", "the connection broke, and the server does not say whether it was done: %w", cause).
		WithHint("look, or repeat a call that is the same when it is done twice")
}
