package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// The states of a tx, as in the embedded engine.
const (
	txIdle int32 = iota // the function runs its own code
	txBusy              // the function is inside the engine
	txOver              // nothing more may be done with it
)

// A tx is one run of a transaction function: one transaction of the server.
type tx struct {
	db    *DB
	conn  *conn
	guard *guard
	mode  txMode
	state atomic.Int32

	app      bool // acts as the application's role now
	saved    bool // app, when the current statement began
	now      int64
	lsn      dbms.LSN // of the snapshot, if anchored
	open     *rows    // the last of the open ones
	done     []string // portals that were read to their end
	notified []string
	note     []byte // of Record
	redefine bool   // definitions have changed

	// Why the run is lost; at most one is set. The function's own result does
	// then not matter, except for failure.
	stopped  *abi.Error // the context ended during a statement
	conflict error      // with another transaction
	lost     error      // the connection
	redo     bool       // the same again, for the reason that is mended now
	unanchor bool       // Tx.LSN was asked of a run that is not anchored
	failure  error      // a statement failed, and the transaction with it
	after    bool       // the function went on after that
}

// A txMode is how a run is made.
type txMode struct {
	purpose
	savepoints bool // before each statement, so that it may fail
	anchored   bool // the snapshot is taken under a barrier: Tx.LSN is known
	turn       bool // contended: wait for the turn
	// exclusive are the statements that shut others out; nil for a run that
	// does not.
	exclusive []*statement
}

// newTx begins a run on a connection. Its guard must be stopped.
func (db *DB) newTx(ctx context.Context, c *conn, mode txMode) *tx {
	return &tx{db: db, conn: c, guard: newGuard(ctx, c), mode: mode, app: mode.app}
}

var errEnded = abi.Errorf("postgres.tx", abi.Closed, "transaction", "it has ended").
	WithHint("use a transaction only inside the function it was passed to, in one goroutine")

// enter begins a call into the engine. Each enter that returns nil is
// followed by leave.
func (t *tx) enter() error {
	if !t.state.CompareAndSwap(txIdle, txBusy) {
		return errEnded
	}
	if err := t.refusal(); err != nil {
		t.leave()
		return err
	}
	if !t.guard.enter() {
		t.stopped = stopCause(t.guard.ctx)
		t.leave()
		return t.stopped
	}
	return nil
}

// refusal is why nothing more can be done in this run.
func (t *tx) refusal() error {
	switch {
	case t.stopped != nil:
		return t.stopped
	case t.conflict != nil:
		return t.conflict
	case t.lost != nil:
		return t.lost
	case t.redo || t.unanchor:
		return errAgain
	case t.failure != nil:
		t.after = true
		return t.failure
	}
	return nil
}

// errAgain is what statements of a run return that will be repeated.
var errAgain = abi.Errorf("postgres.tx", abi.Conflict, "transaction", "it has to run again")

func (t *tx) leave() {
	t.guard.leave()
	t.state.CompareAndSwap(txBusy, txIdle)
}

// end makes the tx unusable. It reports whether the function was in its own
// code, or had returned.
func (t *tx) end() bool {
	return t.state.Swap(txOver) == txIdle
}

// Exec implements dbms.Tx.
func (t *tx) Exec(q *dbms.Query, args ...any) (int64, error) {
	if err := t.enter(); err != nil {
		return 0, err
	}
	defer t.leave()
	_, r, err := t.execute(q, args, "", 0)
	if err != nil {
		return 0, err
	}
	return changed(r.tag), nil
}

// changed is how many rows a command tag says were written.
func changed(tag string) int64 {
	verb, _, _ := strings.Cut(tag, " ")
	switch verb {
	case "INSERT", "UPDATE", "DELETE", "MERGE":
		n, _ := strconv.ParseInt(tag[strings.LastIndexByte(tag, ' ')+1:], 10, 64)
		return n
	}
	return 0
}

// Query implements dbms.Tx.
func (t *tx) Query(q *dbms.Query, args ...any) (dbms.Rows, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.leave()
	t.conn.portals++
	portal := "p" + strconv.Itoa(t.conn.portals)
	s, r, err := t.execute(q, args, portal, fetchRows)
	if err != nil {
		return nil, err
	}
	rows := &rows{tx: t, stmt: s, portal: portal, chunk: r.rows, complete: r.complete}
	if r.complete {
		t.done = append(t.done, portal)
	}
	if !r.complete {
		rows.next, t.open = t.open, rows
	}
	return rows, nil
}

// execute runs one statement. If the statement fails, the run is lost, or,
// with savepoints, as it was before.
func (t *tx) execute(q *dbms.Query, args []any, portal string, limit uint32) (*statement, result, error) {
	text := q.Text(Engine)
	source, err := t.db.source(q, text)
	if err != nil {
		return nil, result{}, err
	}
	if source.placeholders != len(args) {
		return nil, result{}, abi.Errorf("dbms.bind", abi.Invalid, fmt.Sprintf("statement %q", shorten(text)),
			"it has %d parameters, %d arguments were passed", source.placeholders, len(args))
	}
	values := make([]dbms.Value, len(args))
	for i, arg := range args {
		if values[i], err = dbms.ToValue(arg); err != nil {
			return nil, result{}, err
		}
	}
	if source.defines {
		t.closeDone()
	}
	if source.defines && !t.conn.inBlock {
		// What may commit by itself (CREATE INDEX CONCURRENTLY, a COMMIT in DO)
		// does so in an implicit transaction. BEGIN makes it an explicit one.
		t.conn.queue(beginBlock, nil)
		t.conn.inBlock = true
	}
	t.actAs(q.Application)
	if t.saved = t.app; t.mode.savepoints {
		t.conn.queue(savepoint, nil)
	}
	s, r, err := t.attempt(q, source, values, args, portal, limit)
	hurt := stateOf(err) != "" // the transaction
	if err == nil && source.defines && !t.mode.readOnly {
		err = t.define(q.Application)
		hurt = true
	}
	if err != nil {
		return nil, result{}, t.fail(text, err, hurt)
	}
	if t.mode.savepoints {
		t.conn.queue(releaseSavepoint, nil)
	}
	return s, r, nil
}

// attempt prepares a statement and runs it.
func (t *tx) attempt(q *dbms.Query, source *source, values []dbms.Value, args []any, portal string, limit uint32) (*statement, result, error) {
	var declared []uint32
	if !source.inferred.Load() {
		declared = make([]uint32, len(values))
		for i, v := range values {
			declared[i] = hintOf(v)
		}
	}
	s, err := t.conn.prepare(source.text, declared, q.Name != dbms.SystemName)
	if err != nil {
		if declared != nil && typeProblem(err) && !source.inferred.Swap(true) {
			t.db.sources.put(source) // also a one-off's, so that the next run knows
			t.redo = true
		}
		return nil, result{}, err
	}
	params, err := s.encode(values, args)
	if err != nil {
		return nil, result{}, err
	}
	r, err := t.conn.run(s, portal, params, limit)
	return s, r, err
}

// typeProblem reports whether a statement may be understood when the types of
// its parameters are inferred.
func typeProblem(err error) bool {
	switch stateOf(err) {
	case "42804", "42883", "42846", "42P08", "42P18", "42725", "22P02":
		return true
	}
	return false
}

// actAs makes the session act as the application or as the system.
func (t *tx) actAs(app bool) {
	if t.mode.readOnly || t.app == app {
		return // an application may read everything
	}
	s := actAsSystem
	if app {
		s = t.db.actAsApp
	}
	t.conn.queue(s, nil)
	t.app = app
}

// fail notes what a failed statement means for the run, and returns the
// statement's error. hurt says that the transaction cannot go on as it is.
func (t *tx) fail(text string, err error, hurt bool) error {
	if t.guard.ctx.Err() != nil && (t.conn.broken || stateOf(err) == stateQueryCanceled) {
		t.stopped = stopCause(t.guard.ctx)
		return t.stopped
	}
	switch state := stateOf(err); {
	case disconnected(err) || t.conn.broken:
		t.lost = statementError(text, err)
		return t.lost
	case conflicts(err):
		t.conflict = statementError(text, err)
		return t.conflict
	case state == stateNoStatement, state == statePlanChanged && strings.Contains(err.Error(), "cached plan"):
		t.db.generation.Add(1)
		t.redo = true
	}
	if t.redo {
		return errAgain
	}
	err = statementError(text, err)
	switch {
	case !t.mode.savepoints && hurt:
		t.failure = err
		return err
	case !t.mode.savepoints:
		return err
	}
	if back := t.rollbackStatement(); back != nil {
		t.lost = serverError("dbms.statement", back)
	}
	return err
}

// rollbackStatement returns to the savepoint before a failed statement.
func (t *tx) rollbackStatement() error {
	if t.conn.failed {
		_ = t.conn.sync() // the error is the statement's, which is known
		if t.conn.broken {
			return errBroken
		}
	}
	t.conn.queue(rollbackToSavepoint, nil)
	t.conn.queue(releaseSavepoint, nil)
	t.app = t.saved // what set_config did since is undone
	return t.conn.drainNow()
}

// closeDone closes the portals that were read to their end. They end with the
// transaction anyway, but until then their tables are in use, and cannot be
// altered.
func (t *tx) closeDone() {
	for _, portal := range t.done {
		t.conn.front.SendClose(&pgproto3.Close{ObjectType: 'P', Name: portal})
		t.conn.unsynced = true
	}
	t.done = nil
}

// Now implements dbms.Tx.
func (t *tx) Now() time.Time { return time.UnixMicro(t.now).UTC() }

// LSN implements dbms.Tx. A run that was not anchored ends here and is
// repeated as one that is.
func (t *tx) LSN() dbms.LSN {
	if !t.mode.anchored && t.state.Load() != txOver {
		t.unanchor = true
		panic(reanchor{})
	}
	return t.lsn
}

// reanchor is the panic that takes a function back to its beginning.
type reanchor struct{}

// Notify implements dbms.Tx.
func (t *tx) Notify(topic string) {
	if t.state.Load() != txOver && !t.mode.readOnly {
		t.notified = append(t.notified, topic)
	}
}

// Record implements dbms.Tx.
func (t *tx) Record(note []byte) {
	if t.state.Load() != txOver {
		t.note = note
	}
}

// noted is the note as an argument.
func (t *tx) noted() any {
	if t.note == nil {
		return nil
	}
	return t.note
}
