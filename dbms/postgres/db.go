package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/kernel"
)

// Engine is the engine's name, for dbms.Query.Text and dbms.Status.
const Engine = "postgres"

// A DB is a connection to a system in a PostgreSQL database. Any number of
// processes may have one. It implements dbms.DB and dbms.Gatherer.
type DB struct {
	settings *settings
	options  dbms.Options
	node     string
	version  string
	timeout  time.Duration
	clock    *kernel.Clock
	server   serverClock
	history  *history
	capture  string       // how changes are captured, as Status has it
	lag      atomic.Int64 // bytes of the server's log that history holds back

	updates, views, committed, itself *pool

	ticketLock int64 // key of the advisory lock on tickets
	actAsApp   *statement
	lockTurn   *statement

	generation atomic.Int64 // of the tables' definitions
	last       atomic.Int64 // the greatest LSN that was seen
	sources    sources
	gatherings gatherings
	topics     dbms.Topics
	wakeups    *wakeups

	mu         sync.Mutex // guards closing
	closing    bool
	users      sync.WaitGroup // calls under way
	background context.Context
	stop       context.CancelFunc
	goroutines sync.WaitGroup
	closed     func() error
}

var _ dbms.Gatherer = (*DB)(nil)

// Open connects to the system that a URL names, and makes it if there is none:
//
//	postgres://user:password@host:port/database?…
//
// as pgconn.ParseConfig reads it, several hosts included, and with the
// parameters dbos_schema, dbos_history, dbos_pooler, dbos_direct,
// dbos_connections and dbos_wal_limit: see docs/guide/postgres.md.
func Open(ctx context.Context, url string, o dbms.Options) (*DB, error) {
	s, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	db := &DB{settings: s, options: o, node: o.Node, timeout: o.Timeout, ticketLock: lockKey(s.schema)}
	db.background, db.stop = context.WithCancel(context.Background())
	db.closed = sync.OnceValue(db.close)
	if db.node == "" {
		db.node = kernel.NodeID()
	}
	if db.timeout == 0 {
		db.timeout = dbms.DefaultTimeout
	}
	db.actAsApp = &statement{text: "SELECT set_config('role', '" + appRole(s.schema) + "', true)", constant: true}
	db.lockTurn = &statement{text: "LOCK TABLE " + s.schema + ".dbos_turn IN EXCLUSIVE MODE"}
	if err := db.open(ctx); err != nil {
		return nil, errors.Join(serverError("postgres.open", err), db.release())
	}
	return db, nil
}

// open makes what is missing in the database and starts the parts.
func (db *DB) open(ctx context.Context) error {
	if err := db.bootstrap(ctx); err != nil {
		return err
	}
	n := db.settings.connections
	for _, p := range []struct {
		pool    **pool
		purpose purpose
		size    int
	}{{&db.updates, forUpdates, n * 3 / 8}, {&db.views, forViews, n / 4}, {&db.committed, forCommitted, n / 4}, {&db.itself, forItself, max(2, n/8)}} {
		var err error
		if *p.pool, err = newPool(db, p.purpose, p.size); err != nil {
			return err
		}
	}
	if err := db.startClock(ctx); err != nil {
		return err
	}
	var err error
	if db.history, err = openHistory(ctx, db.historySetup()); err != nil {
		return err
	}
	if err := db.watchHistory(ctx); err != nil {
		return err
	}
	db.wakeups = startWakeups(db)
	db.goroutines.Go(db.maintain)
	return nil
}

// historySetup is what the history knows of the engine.
func (db *DB) historySetup() historySetup {
	return historySetup{
		schema: db.settings.schema, app: appRole(db.settings.schema), mode: string(db.settings.history), off: db.options.NoHistory, walLimit: db.settings.walLimit,
		retention: db.options.Retention, now: db.clock.Now, logger: db.logger(),
		sql: plainSQL{db}, transact: db.transact, replication: db.replication, barrier: db.barrier,
	}
}

// replication opens a connection for reading the change feed.
func (db *DB) replication(ctx context.Context) (*pgconn.PgConn, error) {
	if db.settings.direct == nil {
		return nil, abi.Errorf("postgres.replication", abi.Unsupported, "URL", "a pooler in transaction mode does not let replication through").
			WithHint("name the server itself in the URL parameter dbos_direct, or set dbos_history=triggers")
	}
	config := db.settings.direct.Copy()
	for k, v := range map[string]string{
		"replication": "database", "application_name": db.appName(), "TimeZone": "UTC", "DateStyle": "ISO",
		"bytea_output": "hex", "IntervalStyle": "postgres", "extra_float_digits": "1",
	} {
		config.RuntimeParams[k] = v
	}
	return pgconn.ConnectConfig(ctx, config)
}

// lockKey makes a number of a system's name.
func lockKey(schema string) int64 {
	h := fnv.New64a()
	h.Write([]byte("dbos tickets of " + schema))
	return int64(h.Sum64())
}

// appName is the beginning of the names of a node's connections, by which
// other nodes find and end them: see Expel.
func (db *DB) appName() string { return nodeTag(db.node) }

func nodeTag(node string) string {
	h := fnv.New64a()
	h.Write([]byte(node))
	return fmt.Sprintf("dbos %016x", h.Sum64())
}

// major is the server's major version, or 0.
func (db *DB) major() int {
	digits, _, _ := strings.Cut(db.version, ".")
	n, _ := strconv.Atoi(digits)
	return n
}

func (db *DB) async() bool { return db.options.Durability == dbms.Async }

// enter begins a call, which ends with users.Done.
func (db *DB) enter(op string) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closing {
		return errClosed(op)
	}
	db.users.Add(1)
	return nil
}

// advance notes an LSN.
func (db *DB) advance(lsn dbms.LSN) {
	for {
		last := db.last.Load()
		if int64(lsn) <= last || db.last.CompareAndSwap(last, int64(lsn)) {
			return
		}
	}
}

// Changes implements dbms.DB.
func (db *DB) Changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	if err := db.enter("dbms.changes"); err != nil {
		return nil, err
	}
	defer db.users.Done()
	if ctx.Err() != nil {
		return nil, stopCause(ctx)
	}
	commits, err := db.history.changes(ctx, after, limit)
	if err != nil && ctx.Err() != nil {
		return nil, stopCause(ctx)
	}
	return commits, serverError("dbms.changes", err)
}

// Trim implements dbms.DB.
func (db *DB) Trim(ctx context.Context, before time.Time) (dbms.LSN, error) {
	if err := db.enter("dbms.trim"); err != nil {
		return 0, err
	}
	defer db.users.Done()
	lsn, err := db.history.trim(ctx, before)
	return lsn, serverError("dbms.trim", err)
}

// Status implements dbms.DB. LastLSN is the last that this process has seen.
func (db *DB) Status() dbms.Status {
	return dbms.Status{
		Engine: Engine, Version: db.version, Location: db.settings.location, Node: db.node,
		Durability: db.options.Durability, LastLSN: dbms.LSN(db.last.Load()), OldestLSN: db.history.oldestLSN(),
		History: db.capture, HistoryLag: db.lag.Load(),
	}
}

const readLag = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint FROM pg_replication_slots WHERE slot_name = $1"

// watchHistory learns how changes are captured, and how much of its log the
// server keeps for them.
func (db *DB) watchHistory(ctx context.Context) error {
	sql := plainSQL{db}
	state, err := db.history.state(ctx, sql)
	if err != nil || state.capture == captureOff {
		return err
	}
	if db.capture = state.capture; db.capture == captureLogical {
		return db.readLag(ctx)
	}
	return nil
}

func (db *DB) readLag(ctx context.Context) error {
	rows, err := plainSQL{db}.query(ctx, readLag, db.history.slot)
	if err != nil || len(rows) == 0 {
		return err
	}
	lag, _ := rows[0][0].(int64)
	db.lag.Store(lag)
	return nil
}

func (db *DB) logger() *slog.Logger {
	if db.options.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return db.options.Logger
}

// Close implements dbms.DB.
func (db *DB) Close() error { return db.closed() }

func (db *DB) close() error {
	db.mu.Lock()
	db.closing = true
	db.mu.Unlock()
	db.users.Wait()
	return db.release()
}

// release stops the parts.
func (db *DB) release() error {
	if db.wakeups != nil {
		db.wakeups.stop()
	}
	db.stop()
	db.goroutines.Wait()
	if db.history != nil {
		db.history.close()
	}
	for _, p := range []*pool{db.updates, db.views, db.committed, db.itself} {
		if p != nil {
			p.close()
		}
	}
	return nil
}
