package sqlite

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/kernel"
)

// A group ends, and is committed, after so many functions or so much time,
// so that the first of a long queue does not wait for the last.
const (
	maxGroup     = 512
	maxGroupTime = 2 * time.Millisecond
)

// The writer runs all transaction functions, one after the other, on one
// connection. The goroutine that does so can change (see request.run and
// watchdog), but there is only one at a time; the fields below queue belong
// to it.
type writer struct {
	conn    *conn
	history *history
	clock   *kernel.Clock
	topics  dbms.Topics
	node    string
	timeout time.Duration

	queue   queue
	current atomic.Pointer[tx]        // of the function that runs, for the watchdog
	last    atomic.Int64              // LSN of the last commit
	broken  atomic.Pointer[abi.Error] // set when a commit's outcome is unknown
	stopped chan struct{}             // closed when work has ended
	wal     *checkpointer

	group     []*request // being run
	ran       int        // how many of the group have been run
	gathered  bool       // late arrivals have been taken into the group
	began     time.Time  // when the group began
	committed []*request // of the group, successful so far
	again     []*request // to run once more, because SQLite rolled back
	numbers              // of changes and commits
	careful   int        // how many more functions get savepoints
	// unenforced says that foreign keys are off, for an exclusive function.
	unenforced bool

	begin, commit, rollback, savepoint, release, undo *sqlite.Stmt
	log                                               transactionLog
}

// work is the writer's goroutine.
func (w *writer) work() {
	for {
		if w.ran == len(w.group) && !w.gathered && len(w.committed) > 0 {
			w.gather()
			continue
		}
		if w.ran == len(w.group) || w.full() || w.apart() {
			w.endGroup()
			if !w.startGroup() {
				close(w.stopped)
				return
			}
		}
		r := w.group[w.ran]
		w.ran++
		if !w.perform(r) {
			return
		}
	}
}

func (w *writer) full() bool {
	n := len(w.committed)
	return n >= maxGroup || n > 0 && n%16 == 0 && time.Since(w.began) > maxGroupTime
}

// apart reports whether the next function must not be in one group with the
// ones before: one of them is exclusive.
func (w *writer) apart() bool {
	return w.unenforced || len(w.committed) > 0 && w.group[w.ran].exclusive
}

// foreignKeys turns foreign keys on or off, which SQLite does only outside of a
// transaction.
func (w *writer) foreignKeys(on bool) error {
	if w.unenforced == !on {
		return nil
	}
	if err := w.conn.script("PRAGMA foreign_keys = " + map[bool]string{true: "ON", false: "OFF"}[on]); err != nil {
		return err
	}
	w.unenforced = !on
	return nil
}

// startGroup takes what is waiting. It returns false when the queue is closed
// and empty.
func (w *writer) startGroup() bool {
	if w.ran == len(w.group) {
		w.group, w.ran = append(w.group[:0], w.again...), 0
		w.again = w.again[:0]
		if len(w.group) == 0 {
			if w.group = w.queue.take(w.group); len(w.group) == 0 {
				return false
			}
		}
	}
	w.began = time.Now()
	w.gathered = false
	return true
}

// gather takes what has come while the group ran into the same transaction,
// once. Without it, callers in a closed loop split into two halves that wait
// for each other's commit.
func (w *writer) gather() {
	w.gathered = true
	runtime.Gosched()
	w.group = w.queue.more(w.group)
}

// perform runs one function. It returns false if this goroutine is no longer
// the writer.
func (w *writer) perform(r *request) bool {
	if err := w.refuse(r); err != nil {
		r.err = err
		r.done <- struct{}{}
		return true
	}
	if err := w.open(r); err != nil {
		r.err = sqlError("sqlite.begin", err)
		r.done <- struct{}{}
		return true
	}
	ctx := r.ctx
	if r.again {
		ctx = context.WithoutCancel(ctx)
	}
	r.tx = &tx{
		conn: w.conn, writer: w, req: r, ctx: ctx, interrupt: w.conn.interrupt,
		now: w.clock.Micros(), snap: dbms.LSN(w.seq),
	}
	w.current.Store(r.tx)
	return r.run(w)
}

// open begins the group's transaction, unless it is open.
func (w *writer) open(r *request) error {
	w.conn.auth.begin(false)
	if r.exclusive {
		if !w.conn.raw.AutocommitEnabled() { // a function that failed has left it
			if err := step(w.rollback); err != nil {
				return err
			}
		}
		if err := w.foreignKeys(false); err != nil {
			return err
		}
	}
	if len(w.committed) > 0 || !w.conn.raw.AutocommitEnabled() {
		return nil
	}
	return step(w.begin)
}

// refuse returns why the function must not run at all.
func (w *writer) refuse(r *request) error {
	if e := w.broken.Load(); e != nil {
		return e
	}
	// A function that has once succeeded is past the point of calling it off.
	if r.ctx.Err() != nil && !r.again {
		return stopCause(r.ctx)
	}
	return nil
}

// finish ends a function that returned err: it keeps or takes back its work.
func (w *writer) finish(r *request, err error) {
	w.current.Store(nil)
	w.rearm(r)
	w.conn.auth.begin(false)
	t := r.tx
	if err == nil && t.failed != nil {
		err = t.failed
	}
	if w.conn.raw.AutocommitEnabled() {
		w.rolledBack(r, err)
		return
	}
	if err == nil {
		err = dbms.CheckNote(t.note)
	}
	if err == nil && t.saved {
		err = sqlError("sqlite.release", step(w.release))
	}
	if err != nil {
		w.takeBack(r, err)
		return
	}
	w.seq++
	r.lsn = dbms.LSN(w.seq)
	w.committed = append(w.committed, r)
}

// rearm shuts out the watchdog's interrupt, or waits for the one that it has
// sent to this function and clears it.
func (w *writer) rearm(r *request) {
	if !r.tx.stopped.CompareAndSwap(nil, errEnded) {
		<-w.conn.interrupt
		w.conn.rearm()
	}
}

// endGroup commits the group and acknowledges its functions.
func (w *writer) endGroup() {
	w.commitGroup()
	if w.unenforced {
		w.conn.auth.begin(false)
		if err := w.foreignKeys(true); err != nil {
			w.broken.Store(abi.Errorf("sqlite.commit", abi.Unavailable, "", "foreign keys cannot be turned on again: %w", err).
				WithHint("start the process again"))
		}
	}
}

func (w *writer) commitGroup() {
	if len(w.committed) == 0 {
		if !w.conn.raw.AutocommitEnabled() {
			step(w.rollback)
		}
		return
	}
	w.conn.auth.begin(false)
	err := w.log.write(w, w.committed)
	if err == nil {
		err = step(w.commit)
	}
	if err != nil {
		w.commitFailed(err)
		return
	}
	w.last.Store(w.seq)
	w.history.settle()
	for _, r := range w.committed {
		w.topics.Notify(r.tx.notified)
	}
	for i, r := range w.committed {
		r.done <- struct{}{}
		w.committed[i] = nil
	}
	w.committed = w.committed[:0]
	w.wal.afterCommit(w)
}

// commitFailed fails the whole group. After a failed sync nobody knows what
// the disk holds, so the database then stops until it is opened again.
func (w *writer) commitFailed(err error) {
	if !w.conn.raw.AutocommitEnabled() {
		step(w.rollback)
	}
	failure := sqlError("sqlite.commit", err)
	switch sqlite.ErrCode(err) {
	case sqlite.ResultIOErrFsync, sqlite.ResultIOErrDirFsync:
		w.broken.Store(abi.Errorf("sqlite.commit", abi.Unavailable, "", "the disk failed to sync: %w", err).
			WithHint("check the disk, then start the process again"))
	}
	w.reset(w.last.Load())
	w.history.forget()
	for i, r := range w.committed {
		w.reject(r, failure)
		w.committed[i] = nil
	}
	w.committed = w.committed[:0]
}

// step runs one of the writer's own statements to its end.
func step(s *sqlite.Stmt) error {
	for {
		more, err := s.Step()
		if err != nil {
			return err
		}
		if !more {
			return s.Reset()
		}
	}
}

// prepare compiles the writer's own statements.
func (w *writer) prepare() error {
	for _, p := range []struct {
		stmt **sqlite.Stmt
		sql  string
	}{
		{&w.begin, "BEGIN IMMEDIATE"}, {&w.commit, "COMMIT"}, {&w.rollback, "ROLLBACK"},
		{&w.savepoint, "SAVEPOINT dbos"}, {&w.release, "RELEASE dbos"}, {&w.undo, "ROLLBACK TO dbos"},
	} {
		s, err := w.conn.raw.Prepare(p.sql)
		if err != nil {
			return sqlError("sqlite.open", err)
		}
		*p.stmt = s
	}
	return w.log.prepare(w.conn)
}
