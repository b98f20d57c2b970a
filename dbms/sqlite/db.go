package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/kernel"
)

// A DB is an open data directory. It implements dbms.DB.
type DB struct {
	dir     string
	options dbms.Options
	owner   *kernel.Owner

	writer  *writer
	readers *readers
	trimmer *trimmer

	mu      sync.Mutex // guards closing
	closing bool
	users   sync.WaitGroup // calls under way
	closed  chan struct{}  // closed when Close has finished
	failed  error          // of Close
}

var _ dbms.DB = (*DB)(nil)

// Open opens a data directory, and creates it if it does not exist. This
// process then is its one owner until Close; if another one is, the error is
// of kind abi.Owned and names it.
func Open(ctx context.Context, dir string, o dbms.Options) (*DB, error) {
	if dir == "" {
		return nil, abi.Errorf("sqlite.open", abi.Invalid, "data directory", "it is empty").
			WithHint("name a directory, such as ./dbos-data")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, abi.Errorf("sqlite.open", abi.Invalid, "data directory", "%w", err)
	}
	if o.Existing {
		if err := exists(dir); err != nil {
			return nil, err
		}
	}
	owner, err := kernel.Own(dir)
	if err != nil {
		return nil, err
	}
	db := &DB{dir: dir, options: o, owner: owner, closed: make(chan struct{})}
	if err := db.open(); err != nil {
		db.release()
		return nil, err
	}
	return db, nil
}

// exists refuses a directory that holds no database.
func exists(dir string) error {
	_, err := os.Stat(filepath.Join(dir, databaseFile))
	if err != nil {
		return abi.Errorf("sqlite.open", abi.NotFound, "data directory "+dir, "it holds no DBOS system: %w", err).
			WithHint("a program makes it when it opens it; name the right directory")
	}
	return nil
}

// open builds the parts and starts the goroutines.
func (db *DB) open() error {
	c, err := openConn(db.dir, writerPragmas(db.options.Durability)...)
	if err != nil {
		return err
	}
	w := &writer{
		conn: c, node: db.options.Node, timeout: db.options.Timeout,
		stopped: make(chan struct{}),
	}
	w.queue.filled.L = &w.queue.mu
	db.writer = w
	if w.node == "" {
		w.node = kernel.NodeID()
	}
	if w.timeout == 0 {
		w.timeout = dbms.DefaultTimeout
	}
	if err := db.bootstrap(); err != nil {
		return err
	}
	if w.wal, err = startCheckpointer(db.dir); err != nil {
		return err
	}
	db.readers = newReaders(db.dir)
	go w.work()
	go w.watchdog()
	db.trimmer = startTrimmer(db)
	return nil
}

func writerPragmas(d dbms.Durability) []string {
	synchronous := "synchronous=FULL"
	if d == dbms.Async {
		synchronous = "synchronous=NORMAL"
	}
	return []string{
		"journal_mode=WAL", synchronous, "foreign_keys=ON",
		"recursive_triggers=ON", // REPLACE then fires the history's delete triggers
		"wal_autocheckpoint=0", "temp_store=MEMORY", "cache_size=-65536",
		"journal_size_limit=67108864",
	}
}

// bootstrap creates the engine's own tables and reads where history stands.
func (db *DB) bootstrap() error {
	w := db.writer
	if err := w.conn.numbers(&w.numbers); err != nil {
		return err
	}
	if err := makeOwnTables(w.conn); err != nil {
		return err
	}
	if err := db.checkFormat(); err != nil {
		return err
	}
	at, err := w.conn.integer("SELECT max(at) FROM dbos_transaction")
	if err != nil {
		return err
	}
	w.clock = kernel.NewClock(db.options.Now, time.UnixMicro(at))
	if w.history, err = openHistory(w, !db.options.NoHistory); err != nil {
		return err
	}
	return w.prepare()
}

// format is the version of the data directory's format: of the engine's own
// tables and of how history is kept. Services and applications have versions
// of their own (Migrate).
const format = 1

// checkFormat refuses a directory that a newer program has written.
func (db *DB) checkFormat() error {
	c := db.writer.conn
	found, err := c.integer("SELECT value FROM dbos_meta WHERE key = 'format'")
	switch {
	case err != nil:
		return err
	case found > format:
		return abi.Errorf("sqlite.open", abi.Unsupported, "data directory "+db.dir, "it has format %d, this program knows %d", found, format).
			WithHint("open it with a newer version of the program")
	case found == 0:
		return c.script("INSERT INTO dbos_meta VALUES ('format', $1)", format)
	}
	return nil
}

// Update implements dbms.DB.
func (db *DB) Update(ctx context.Context, call abi.Call, fn func(dbms.Tx) error) (dbms.LSN, error) {
	return db.update(ctx, call, fn, false)
}

func (db *DB) update(ctx context.Context, call abi.Call, fn func(dbms.Tx) error, exclusive bool) (dbms.LSN, error) {
	if err := call.Check("dbms.update"); err != nil {
		return 0, err
	}
	r := &request{ctx: ctx, call: call, fn: fn, exclusive: exclusive, done: donePool.Get().(chan struct{})}
	if call.Start.IsZero() {
		r.start = time.Now().UnixMicro()
	} else {
		r.start = call.Start.UnixMicro()
	}
	if !db.writer.queue.put(r) {
		return 0, closedError("dbms.update")
	}
	if stop := ctx.Done(); stop == nil {
		<-r.done
	} else {
		select {
		case <-r.done:
		case <-stop:
			if db.writer.queue.remove(r) {
				return 0, stopCause(ctx)
			}
			<-r.done
		}
	}
	donePool.Put(r.done)
	return r.result()
}

// Watch implements dbms.DB.
func (db *DB) Watch(topic string) dbms.Watcher { return db.writer.topics.Watch(topic) }

// Status implements dbms.DB.
func (db *DB) Status() dbms.Status {
	return dbms.Status{
		Engine: engine, Version: sqlite.Version, Location: db.dir,
		Node: db.writer.node, Durability: db.options.Durability,
		LastLSN:   dbms.LSN(db.writer.last.Load()),
		OldestLSN: dbms.LSN(db.writer.history.oldest.Load()), History: db.capture(),
	}
}

// enter begins a call that needs the database open; users.Done ends it.
func (db *DB) enter(op string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closing {
		return closedError(op)
	}
	db.users.Add(1)
	return nil
}

func closedError(op string) error {
	return abi.Errorf(op, abi.Closed, "database", "it has been closed")
}

func (db *DB) capture() string {
	if db.options.NoHistory {
		return ""
	}
	return "triggers"
}

// Close implements dbms.DB.
func (db *DB) Close() error {
	db.mu.Lock()
	first := !db.closing
	db.closing = true
	db.mu.Unlock()
	if first {
		db.trimmer.stop()
		db.writer.queue.close()
		<-db.writer.stopped
		db.users.Wait()
		db.failed = db.release()
		close(db.closed)
	}
	<-db.closed
	return db.failed
}

// release closes the connections and gives the directory up. The writer's
// connection is the last, so that it folds the log into the database file.
func (db *DB) release() error {
	var errs []error
	if db.readers != nil {
		errs = append(errs, db.readers.close())
	}
	if db.writer != nil {
		if db.writer.wal != nil {
			errs = append(errs, db.writer.wal.close())
		}
		errs = append(errs, db.writer.conn.close())
	}
	errs = append(errs, db.owner.Release())
	if err := errors.Join(errs...); err != nil {
		return sqlError("sqlite.close", err)
	}
	return nil
}
