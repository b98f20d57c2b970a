//go:build cgo

package warehouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/kernel"
)

// Available says whether this build has the column store.
const Available = true

// A Warehouse is the history of one database. All methods may be called from any
// goroutine; one at a time writes (Spool, Seal, Expire), and nobody waits for it
// to read.
type Warehouse struct {
	dir    string
	o      Options
	owner  *kernel.Owner
	store  *duckdb.Connector
	db     *sql.DB // the same, for functions that want that type
	turn   chan struct{}
	writer *session // of who has the turn
	warned sync.Map // what has been warned about

	viewing  sync.Mutex // guards what follows
	views    map[dbms.LSN]*viewSet
	viewUses int64

	mu       sync.Mutex // guards what follows
	state    state      // of the last transaction that was committed
	catalog  *catalog   // as of state.Position
	idle     []*session
	open     int             // sessions that are not idle, the writer's not among them
	life     context.Context // ends with Close
	end      context.CancelFunc
	closed   bool
	done     chan struct{} // closed when the last session has come back after Close
	spooled  spooled
	archive  archive
	unsealed int64 // changes since the last segment
}

// spooled describes the last Spool that had something to do.
type spooled struct {
	at      time.Time
	took    time.Duration
	changes int64
}

const (
	fileName     = "warehouse.duckdb"
	segmentsName = "segments"
	spillName    = "spill"
)

// format is the version of what is in the file. An older one is brought up to
// it when it is opened; a newer one is refused.
const format = 1

// Open opens the warehouse in a directory, which is made if it does not
// exist. If another process has it open, the error is of kind abi.Owned.
func Open(ctx context.Context, dir string, o Options) (*Warehouse, error) {
	w, err := open(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	if err := w.setUp(ctx); err != nil {
		w.release()
		return nil, err
	}
	return w, nil
}

func open(ctx context.Context, dir string, o Options) (*Warehouse, error) {
	const op = "warehouse.open"
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, abi.Errorf(op, abi.Invalid, "directory "+dir, "%w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Threads <= 0 {
		o.Threads = runtime.NumCPU()
	}
	if o.Retention == 0 {
		o.Retention = dbms.DefaultRetention
	}
	owner, err := kernel.Own(dir)
	if err != nil {
		return nil, err
	}
	w := &Warehouse{dir: dir, o: o, owner: owner, turn: make(chan struct{}, 1), views: map[dbms.LSN]*viewSet{}, done: make(chan struct{})}
	w.life, w.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := os.MkdirAll(filepath.Join(dir, segmentsName), 0o700); err != nil {
		w.release()
		return nil, abi.Errorf(op, abi.Invalid, "directory "+dir, "%w", err)
	}
	if err := os.RemoveAll(filepath.Join(dir, spillName)); err != nil { // what a killed process has left
		w.release()
		return nil, abi.Errorf(op, abi.Invalid, "directory "+dir, "%w", err)
	}
	if w.store, err = duckdb.NewConnector(":memory:", nil); err != nil {
		w.release()
		return nil, storeError(op, ctx, err)
	}
	w.db = sql.OpenDB(w.store)
	return w, nil
}

// release gives back what open took.
func (w *Warehouse) release() {
	if w.writer != nil {
		w.writer.Close()
	}
	if w.db != nil {
		w.db.Close() // closes the store
	}
	if w.owner != nil {
		w.owner.Release()
	}
}

// setUp makes an opened warehouse ready.
func (w *Warehouse) setUp(ctx context.Context) error {
	var err error
	if w.archive, err = readArchive(w.dir); err != nil {
		return err
	}
	if _, err := os.Stat(w.file()); errors.Is(err, fs.ErrNotExist) && len(w.archive.Segments) > 0 {
		return abi.Errorf("warehouse.open", abi.Corrupt, w.file(), "it is gone, but the archive beside it is there").
			WithHint("`dbos history rebuild` makes it again from the archive")
	}
	if err := w.attach(ctx, w.file()); err != nil {
		return err
	}
	if err := w.load(ctx); err != nil {
		return err
	}
	return w.registerFunctions(ctx)
}

// attach attaches the file and closes the door behind: from then on the column
// store touches no file outside of the warehouse's directory, whatever a query says.
func (w *Warehouse) attach(ctx context.Context, file string) error {
	writer, err := w.connect(ctx)
	if err != nil {
		return err
	}
	w.writer = writer
	settings := []string{
		fmt.Sprintf("SET memory_limit = '%dB'", w.o.Memory),
		fmt.Sprintf("SET threads = %d", w.o.Threads),
		"SET temp_directory = " + literal(filepath.Join(w.dir, spillName)),
		"SET checkpoint_threshold = '256MB'",
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET allow_community_extensions = false",
		"ATTACH " + literal(file) + " AS warehouse",
		"SET allowed_directories = [" + literal(w.dir+string(filepath.Separator)) + "]",
		"SET enable_external_access = false",
		"SET lock_configuration = true",
		"USE warehouse",
	}
	for _, text := range settings {
		if _, err := writer.exec(ctx, text); err != nil {
			return abi.Errorf("warehouse.open", abi.KindOf(err), "directory "+w.dir, "%w", err).
				WithHint("if the file is damaged, `dbos history rebuild` makes it again from the archive")
		}
	}
	return w.makeTables(ctx)
}

// connect opens another connection to the store.
func (w *Warehouse) connect(ctx context.Context) (*session, error) {
	c, err := w.store.Connect(ctx)
	if err != nil {
		return nil, storeError("warehouse.open", ctx, err)
	}
	return &session{Conn: c.(*duckdb.Conn)}, nil
}

// take waits for the turn to write.
func (w *Warehouse) take(ctx context.Context, op string) error {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		<-w.turn
		return closedError(op)
	}
	return nil
}

func (w *Warehouse) give() { <-w.turn }

func closedError(op string) error {
	return abi.Errorf(op, abi.Closed, "warehouse", "it has been closed")
}

// session returns a connection that nobody uses, to be given back to finish, and the context of what
// is done with it, which Close cancels as well.
func (w *Warehouse) session(ctx context.Context, op string) (*session, context.Context, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, nil, closedError(op)
	}
	var s *session
	if n := len(w.idle); n > 0 {
		s, w.idle = w.idle[n-1], w.idle[:n-1]
	} else {
		var err error
		if s, err = w.connect(ctx); err != nil {
			return nil, nil, err
		}
		if _, err := s.exec(ctx, "USE warehouse"); err != nil {
			s.Close()
			return nil, nil, err
		}
	}
	w.open++
	bound, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(w.life, func() { cancel(closedError(op)) })
	s.release = func() { stop(); cancel(nil) }
	return s, bound, nil
}

// keptSessions is how many idle connections are kept for the next query.
const keptSessions = 8

func (w *Warehouse) finish(s *session) {
	s.release()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	if w.closed || len(w.idle) >= keptSessions {
		s.Close()
	} else {
		w.idle = append(w.idle, s)
	}
	if w.closed && w.open == 0 {
		close(w.done)
	}
}

// Close waits for who writes, ends what is being asked, and closes the warehouse. It may be
// called more than once.
func (w *Warehouse) Close() error {
	w.turn <- struct{}{}
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		w.give()
		return nil
	}
	w.closed = true
	w.end()
	for _, s := range w.idle {
		s.Close()
	}
	w.idle = nil
	if w.open == 0 {
		close(w.done)
	}
	w.mu.Unlock()
	w.give()
	<-w.done
	_, err := w.writer.exec(context.Background(), "CHECKPOINT warehouse")
	w.release()
	if err != nil {
		// Nothing is lost: what was committed is in the file's log.
		w.o.Logger.Warn("warehouse: it could not be made tidy before closing", "error", err)
	}
	return nil
}

// Position is what has been spooled.
func (w *Warehouse) Position() Moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Position
}

// Oldest is the oldest state that can be asked for.
func (w *Warehouse) Oldest() Moment {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.Oldest
}

// now returns what is published.
func (w *Warehouse) now() (state, *catalog) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state, w.catalog
}

// warn tells the operator once a process.
func (w *Warehouse) warn(message string, args ...any) {
	if _, again := w.warned.LoadOrStore(message, true); !again {
		w.o.Logger.Warn("warehouse: "+message, args...)
	}
}

// Supported is Available.
const Supported = Available
