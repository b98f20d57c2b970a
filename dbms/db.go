package dbms

import (
	"context"
	"log/slog"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// An LSN (log sequence number) is a position in a database's history. Every
// change and every commit takes the next number, so that LSNs grow along the
// commit order and "the state as of L" is exactly the changes whose number is
// at most L. Gaps are normal. The zero LSN is the empty database.
type LSN int64

// A DB is one open database. All methods may be called from any goroutine.
type DB interface {
	// Update runs fn as one serializable transaction on behalf of call.
	// When it returns nil error, everything fn did is durable (see
	// Durability) and visible to every later View and Update, and the LSN is
	// that of the commit. When it returns an error, fn has changed nothing:
	// errors of fn are returned as they are, a cancelled ctx gives its
	// cause, everything else is an *abi.Error. Once fn has returned nil, a
	// cancelled ctx no longer stops the commit.
	//
	// fn may run more than once (after a conflict, or when a neighbour in
	// its commit group made the engine roll back), so its effects other than
	// through tx must be idempotent: assign results, do not append to them.
	// fn must not block on anything but tx, must not call Update itself, and
	// must not keep tx. A panic in fn rolls back and continues in the
	// caller of Update. An fn that runs longer than Options.Timeout fails
	// with abi.Timeout, even if it never returns.
	Update(ctx context.Context, call abi.Call, fn func(Tx) error) (LSN, error)

	// UpdateExclusive is Update, but alone: when fn begins, every transaction
	// that has changed one of the tables has ended, tx.LSN is the snapshot, and
	// nobody changes these tables until the commit. What was committed up to
	// the snapshot can be read by Changes from within fn, which may wait for
	// Changes and View of this DB, not for Update. No time limit but ctx
	// applies. The embedded engine does not enforce foreign keys in it: fn
	// checks them before it returns. No tables means all tracked ones. A name
	// that is no tracked table is of kind abi.NotFound.
	UpdateExclusive(ctx context.Context, call abi.Call, tables []string, fn func(Tx) error) (LSN, error)

	// View runs fn on a consistent snapshot that contains every commit whose
	// Update has returned. It never waits for writers. Exec with a statement
	// that writes fails with abi.Denied. fn may run more than once, as of
	// Update.
	View(ctx context.Context, fn func(Tx) error) error

	// Changes returns the committed transactions after an LSN, in commit
	// order, at most limit of them (1 to MaxBatch); none means that there are
	// no more yet. The last one's LSN continues the reading. If history
	// after the LSN has been trimmed, the error is abi.Trimmed and names the
	// oldest LSN that can be asked.
	Changes(ctx context.Context, after LSN, limit int) ([]Commit, error)

	// Tables returns the tracked tables as a snapshot of this DB sees them,
	// ordered by name, each as a Define change with the LSN of its definition
	// (0 if that is older than history).
	Tables(tx Tx) ([]Change, error)

	// Trim forgets the history of transactions committed before a time and
	// returns the LSN up to which nothing is left. Live rows stay.
	Trim(ctx context.Context, before time.Time) (LSN, error)

	// Watch returns a Watcher of the topic. It misses no transaction that
	// commits after Watch has returned.
	Watch(topic string) Watcher

	// Migrate brings the owner's tables to the last of its migrations, each
	// in one transaction, and does nothing if they are there. See Migrations.
	Migrate(ctx context.Context, m Migrations) error

	// Status describes the open database.
	Status() Status

	// Close refuses new work with abi.Closed, finishes what has been
	// accepted, and closes. It may be called more than once.
	Close() error
}

// A Watcher signals that a committed transaction has notified its topic.
type Watcher interface {
	// C receives after such a commit. Signals coalesce: one receive may
	// stand for many commits, so look at the tables, then wait again.
	C() <-chan struct{}
	// Close ends the watching and releases it. It does not close C.
	Close()
}

// A Tx is one transaction (in Update) or snapshot (in View). It belongs to
// the function it was passed to: not to other goroutines, and not after the
// function's end.
type Tx interface {
	// Exec runs a statement and returns the number of rows it inserted,
	// updated or deleted itself (not by triggers or cascades).
	Exec(q *Query, args ...any) (int64, error)
	// Query runs a statement that returns rows. One that writes (RETURNING)
	// has done its work when Query returns, whether or not its rows are read.
	// The Rows must be closed, or read to their end, before the transaction
	// ends.
	Query(q *Query, args ...any) (Rows, error)
	// Now is the transaction's time, in UTC with microseconds: fixed for the
	// transaction, recorded with it, and never going backwards along the
	// commit order, whatever the host's clock does.
	Now() time.Time
	// LSN is the snapshot that the transaction reads: it sees every commit
	// up to it and, beyond that, only its own changes.
	LSN() LSN
	// Notify wakes the topic's watchers if and only if the transaction
	// commits.
	Notify(topic string)
	// Record keeps a note with the transaction if it commits: Commit.Note. The
	// last call counts; nil takes the note back. The engine keeps the slice,
	// which must not change any more. A note longer than MaxNote fails the
	// commit with abi.Invalid. In a View it does nothing.
	Record(note []byte)
}

// MaxNote is how long a note of Tx.Record may be, in bytes.
const MaxNote = 1 << 20

// CheckNote returns the error of a note that is too long, or nil.
func CheckNote(note []byte) error {
	if len(note) <= MaxNote {
		return nil
	}
	return abi.Errorf("dbms.update", abi.Invalid, "note", "it has %d bytes; at most %d are kept", len(note), MaxNote)
}

// MaxBatch is the largest limit of DB.Changes.
const MaxBatch = 10_000

// Durability says what a returned Update is safe from.
type Durability int

const (
	// Sync is the default: the commit is on disk; neither a killed process
	// nor a power cut loses it.
	Sync Durability = iota
	// Async leaves the write to the operating system: a killed process loses
	// nothing, a power cut may lose the last moments but never corrupts.
	Async
)

// String returns "sync" or "async".
func (d Durability) String() string {
	if d == Async {
		return "async"
	}
	return "sync"
}

// Options are what every engine understands. The zero value is the default.
type Options struct {
	// Durability of Update.
	Durability Durability
	// NoHistory turns change capture off: Changes then returns transactions
	// without their changes. It is there to measure what capture costs.
	NoHistory bool
	// Retention is how long history is kept; 0 means DefaultRetention and a
	// negative value for ever.
	Retention time.Duration
	// Timeout bounds one transaction function; 0 means DefaultTimeout.
	Timeout time.Duration
	// Node identifies this process in recorded calls; "" makes one.
	Node string
	// Now replaces the clock: the host's, or on an engine behind a network
	// the server's.
	Now func() time.Time
	// Logger gets warnings about what needs an operator; nil discards them.
	Logger *slog.Logger
	// Existing opens only what is there already: where there is no system the
	// error is of kind abi.NotFound, and nothing is made.
	Existing bool
}

const (
	// DefaultRetention is how long history is kept unless said otherwise.
	DefaultRetention = 3 * 24 * time.Hour
	// DefaultTimeout bounds one transaction function unless said otherwise.
	DefaultTimeout = 5 * time.Second
)

// Status describes an open database.
type Status struct {
	Engine     string // "sqlite", "postgres"
	Version    string // the engine's own version
	Location   string // directory or URL without its password
	Node       string // this process, as recorded with calls
	Durability Durability
	LastLSN    LSN // of the last commit
	OldestLSN  LSN // the oldest LSN that Changes can continue from
	// History says how changes are captured: "triggers", "logical", or "" if
	// they are not.
	History string
	// HistoryLag is how many bytes of its log the server keeps for history
	// that was not trimmed; 0 where it keeps none.
	HistoryLag int64
}
