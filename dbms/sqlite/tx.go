package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// The states of a tx. The function's goroutine moves it between idle and
// busy; the end, and the watchdog when time is up, move it from idle to over.
const (
	txIdle int32 = iota // the function runs its own code
	txBusy              // the function is inside the engine
	txOver              // nothing more may be done with it
)

// A tx is one transaction or snapshot on a connection.
type tx struct {
	conn  *conn
	req   *request        // nil in View
	ctx   context.Context // that may stop it; nil in View
	state atomic.Int32
	// stopped is why nothing more may be done: cancelled, out of time, or
	// errEnded. Whoever sets it first decides between the end and an
	// interruption.
	stopped   atomic.Pointer[abi.Error]
	interrupt chan struct{} // the connection's, during this tx

	now  int64                    // microseconds
	lsn  func() (dbms.LSN, error) // nil in Update: snapshot is known
	snap dbms.LSN

	writer   *writer // nil in View
	wrote    bool    // something may have to be undone
	saved    bool    // the savepoint is open
	failed   error   // the engine rolled back behind the function's back
	open     []*rows
	notified []string
	note     []byte // of Record
}

var errEnded = abi.Errorf("sqlite.tx", abi.Closed, "transaction", "it has ended").
	WithHint("use a transaction only inside the function it was passed to, in one goroutine")

// enter begins a call into the engine. Each enter that returns nil is
// followed by leave.
func (t *tx) enter() error {
	if !t.state.CompareAndSwap(txIdle, txBusy) {
		if e := t.stopped.Load(); e != nil {
			return e
		}
		return errEnded
	}
	if t.failed != nil {
		t.leave()
		return t.failed
	}
	if e := t.stopped.Load(); e != nil {
		t.leave()
		return e
	}
	return nil
}

func (t *tx) leave() { t.state.CompareAndSwap(txBusy, txIdle) }

// end makes the tx unusable and closes what it left open. It reports whether
// this call ended it.
func (t *tx) end() bool {
	if !t.state.CompareAndSwap(txIdle, txOver) {
		return false
	}
	t.closeRows()
	return true
}

func (t *tx) closeRows() {
	for _, r := range t.open {
		r.finish()
	}
	t.open = nil
}

// Exec implements dbms.Tx.
func (t *tx) Exec(q *dbms.Query, args ...any) (int64, error) {
	if err := t.enter(); err != nil {
		return 0, err
	}
	defer t.leave()
	s, err := t.start(q, args)
	if err != nil {
		return 0, t.explain(err)
	}
	defer s.release()
	if s.ddl != nil && t.writer != nil {
		return 0, t.explain(t.define(s))
	}
	n, err := s.run()
	return n, t.explain(err)
}

// define runs a statement that changes definitions, and lets history follow
// it. If one of the two fails, neither has happened.
func (t *tx) define(s *statement) error {
	w := t.writer
	before := w.seq
	if err := t.conn.script("SAVEPOINT define"); err != nil {
		return err
	}
	err := w.history.define(s)
	w.conn.forget()
	if err == nil {
		return t.conn.script("RELEASE define")
	}
	if t.conn.raw.AutocommitEnabled() {
		return err // all of it has been rolled back
	}
	w.history.stale = true
	w.reset(before)
	if e := errors.Join(t.conn.script("ROLLBACK TO define"), t.conn.script("RELEASE define")); e != nil {
		t.failed = e
	}
	return err
}

// Query implements dbms.Tx.
func (t *tx) Query(q *dbms.Query, args ...any) (dbms.Rows, error) {
	if err := t.enter(); err != nil {
		return nil, err
	}
	defer t.leave()
	s, err := t.start(q, args)
	if err != nil {
		return nil, t.explain(err)
	}
	r := &rows{stmt: s, tx: t}
	if s.ddl != nil && t.writer != nil {
		defer r.finish()
		if err := t.define(s); err != nil {
			return nil, t.explain(err)
		}
		return r, nil
	}
	if s.writes {
		if err := r.begin(); err != nil {
			return nil, t.explain(err)
		}
	}
	t.open = append(t.open, r)
	return r, nil
}

// start prepares and binds a statement, and prepares for undoing before the
// transaction's first write.
func (t *tx) start(q *dbms.Query, args []any) (*statement, error) {
	s, err := t.conn.prepare(q)
	if err != nil {
		return nil, err
	}
	if err := t.bindAndSave(s, args); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (t *tx) bindAndSave(s *statement, args []any) error {
	if err := s.bind(args); err != nil {
		return err
	}
	if s.writes && t.writer == nil {
		return abi.Errorf("dbms.view", abi.Denied, fmt.Sprintf("statement %q", shorten(s.text)), "a view cannot write").
			WithHint("write in Update")
	}
	if !s.writes {
		return nil
	}
	t.writer.numbers.begin()
	if t.wrote {
		return nil
	}
	return t.writer.save(t)
}

// explain turns an interruption into its cause, and notices when SQLite has
// rolled the whole transaction back (interrupted writes, disk full).
func (t *tx) explain(err error) error {
	if err == nil {
		return nil
	}
	if e := t.stopped.Load(); e != nil && errors.Is(err, abi.Canceled) {
		err = e
		t.failed = e // also if the function makes light of it
	}
	if t.writer != nil && t.conn.raw.AutocommitEnabled() {
		t.failed = err
	}
	return err
}

// Now implements dbms.Tx.
func (t *tx) Now() time.Time { return time.UnixMicro(t.now).UTC() }

// LSN implements dbms.Tx.
func (t *tx) LSN() dbms.LSN {
	if t.lsn == nil {
		return t.snap
	}
	if err := t.enter(); err != nil {
		return 0
	}
	defer t.leave()
	lsn, err := t.lsn()
	if err != nil {
		t.failed = t.explain(err)
		return 0
	}
	t.lsn, t.snap = nil, lsn
	return lsn
}

// Record implements dbms.Tx.
func (t *tx) Record(note []byte) {
	if t.enter() == nil {
		t.note = note
		t.leave()
	}
}

// Notify implements dbms.Tx.
func (t *tx) Notify(topic string) {
	if t.enter() == nil {
		t.notified = append(t.notified, topic)
		t.leave()
	}
}

// stopCause is the error of a transaction whose context ended.
func stopCause(ctx context.Context) *abi.Error {
	kind := abi.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		kind = abi.Timeout
	}
	return &abi.Error{Op: "dbms.update", Kind: kind, Err: context.Cause(ctx)}
}
