package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A historySetup is what history needs to know and to use of the engine.
type historySetup struct {
	schema    string
	app       string // the application's role
	mode      string // as the URL has it
	off       bool
	retention time.Duration // 0 is the default, negative is for ever
	walLimit  int64         // bytes of write-ahead log kept for readers; 0 is the default
	now       func() time.Time
	logger    *slog.Logger

	// sql runs each statement as a transaction of its own.
	sql executor
	// transact runs fn as one transaction that is not recorded.
	transact func(ctx context.Context, fn func(executor) error) error
	// replication opens a connection for replication to the server itself.
	replication func(ctx context.Context) (*pgconn.PgConn, error)
	// barrier returns the last ticket, after everything up to it has ended;
	// 0 if there was none.
	barrier func(ctx context.Context) (dbms.LSN, error)
}

// A history captures every change of every tracked table and gives them back
// in commit order. Where the server allows it, changes are read from its
// write-ahead log (logical decoding); elsewhere, and for tables without a
// primary key, triggers write them into a history table for each table.
//
// What is captured and since when is kept in the table dbos_history, because
// it concerns all nodes.
type history struct {
	historySetup
	slot string
	warn func(message string, args ...any)

	oldest atomic.Int64 // the LSN up to which history is gone, as last seen

	cancel context.CancelFunc // of what runs in the background
	done   sync.WaitGroup

	// turn is taken before the lock between nodes, so that those who wait for
	// that do not hold the connections that its owner needs.
	turn sync.Mutex

	mu      sync.Mutex
	closed  bool
	streams []*stream // that nobody reads now
}

// States of capture, as dbos_history has them.
const (
	captureOff      = "off"
	captureLogical  = "logical"
	captureTriggers = "triggers"
)

// historyTables are history's own.
const historyTables = `
CREATE SEQUENCE IF NOT EXISTS dbos_change;
CREATE TABLE IF NOT EXISTS dbos_history (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS dbos_definition (
	n bigint PRIMARY KEY DEFAULT nextval('dbos_change'), -- in the order they were made, with changes recorded by triggers
	xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
	lsn bigint, -- of the commit, if it is known yet: see stamp; 0 if it has none
	name text NOT NULL, -- the table
	op text NOT NULL, -- define or drop
	sql text,
	renamed text, -- the name before
	columns text, -- JSON array of stored columns
	key text, -- JSON array of key columns
	relid bigint NOT NULL, -- OID of the table
	history bigint NOT NULL, -- OID of its history table, or 0
	shape text, -- JSON of what the engine compares
	defaults text, -- what rows from before have in new columns: dbms.MarshalValues
	stamp text NOT NULL DEFAULT '' -- changes when the table does
);
CREATE INDEX IF NOT EXISTS dbos_definition_relid ON dbos_definition (relid, n)`

// openHistory brings capture into the state that is wished for.
func openHistory(ctx context.Context, s historySetup) (*history, error) {
	h := &history{historySetup: s, warn: s.logger.Warn}
	if h.walLimit == 0 {
		h.walLimit = defaultWALLimit
	}
	if h.retention == 0 {
		h.retention = dbms.DefaultRetention
	}
	if err := h.prepare(ctx); err != nil {
		return nil, serverError("postgres.open", err)
	}
	// The lock keeps nodes that open at the same time apart; what is done
	// under it takes several transactions.
	err := h.transact(ctx, func(tx executor) error {
		if err := h.setupLock(ctx, tx); err != nil {
			return err
		}
		return h.settle(ctx)
	})
	if err != nil {
		return nil, serverError("postgres.open", err)
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	h.done.Go(func() { h.retain(background) })
	return h, nil
}

// lock keeps nodes apart, to the end of the transaction.
func (h *history) lock(ctx context.Context, tx executor, what string) error {
	return tx.exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", "dbos "+what+" of "+h.schema)
}

// setupLock is for changes of what is captured and since when.
func (h *history) setupLock(ctx context.Context, tx executor) error {
	return h.lock(ctx, tx, "history")
}

// prepare makes history's own tables, and finds the slot's name.
func (h *history) prepare(ctx context.Context) error {
	return h.transact(ctx, func(tx executor) error {
		if err := h.setupLock(ctx, tx); err != nil {
			return err
		}
		rows, err := tx.query(ctx, "SELECT oid::bigint FROM pg_database WHERE datname = current_database()")
		if err != nil {
			return err
		}
		// Slots belong to the whole server: another database may have a
		// system of the same schema.
		h.slot = fmt.Sprintf("dbos_%s_%d", h.schema, rows[0][0])
		if len(h.slot) > maxName {
			h.slot = h.slot[len(h.slot)-maxName:]
		}
		return runScript(ctx, tx, strings.Split(historyTables, ";\n")...)
	})
}

// maxName is the longest name of the server, in bytes.
const maxName = 63

// settle compares the state of capture with the wish and changes it.
func (h *history) settle(ctx context.Context) error {
	state, err := h.state(ctx, h.sql)
	if err != nil {
		return err
	}
	want, err := h.choose(ctx, state.capture)
	if err != nil {
		return err
	}
	if want == state.capture && state.ready {
		h.oldest.Store(state.oldest)
		if want == captureOff {
			return nil
		}
		return h.resume(ctx, want)
	}
	return h.switchTo(ctx, want)
}

// A historyState is what dbos_history says.
type historyState struct {
	capture string // "" before the first opening
	ready   bool   // false while capture is being changed
	oldest  int64  // history up to this LSN is gone
	wal     string // no later commit is before this place of the log
}

func (h *history) state(ctx context.Context, tx executor) (historyState, error) {
	var s historyState
	rows, err := tx.query(ctx, "SELECT key, value FROM dbos_history UNION ALL SELECT key, value::text FROM dbos_meta WHERE key = 'oldest'")
	for _, r := range rows {
		value := r[1].(string)
		switch r[0] {
		case "capture":
			s.capture = value
		case "ready":
			s.ready = value == "yes"
		case "oldest":
			_, err = fmt.Sscan(value, &s.oldest)
		case "wal":
			s.wal = value
		}
	}
	return s, err
}

func (h *history) set(ctx context.Context, tx executor, key, value string) error {
	return tx.exec(ctx, "INSERT INTO dbos_history VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
}

// choose decides how changes are captured.
func (h *history) choose(ctx context.Context, now string) (string, error) {
	if h.off {
		return captureOff, nil
	}
	if h.mode == string(historyTriggers) || h.mode == string(historyAuto) && now == captureTriggers {
		return captureTriggers, nil
	}
	if now == captureLogical {
		return now, nil
	}
	problem, err := h.replicationProblem(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case problem == nil:
		return captureLogical, nil
	case h.mode == string(historyLogical):
		return "", problem
	}
	h.warn("changes are captured by triggers, which costs more than reading them from the server's log",
		"reason", problem, "remedy", problem.Hint)
	return captureTriggers, nil
}

// replicationProblem says why changes cannot be read from the server's log,
// or nil.
func (h *history) replicationProblem(ctx context.Context) (*abi.Error, error) {
	rows, err := h.sql.query(ctx, `SELECT current_setting('wal_level'), rolreplication OR rolsuper, current_user::text
		FROM pg_roles WHERE rolname = current_user`)
	if err != nil {
		return nil, err
	}
	const op, then = "postgres.history", ", then open with dbos_history=logical; or use dbos_history=triggers"
	level, may, role := rows[0][0], rows[0][1], rows[0][2].(string)
	switch {
	case level != "logical":
		return abi.Errorf(op, abi.Unsupported, "setting wal_level", "it is %v; reading changes from the server's log needs logical", level).
			WithHint("run ALTER SYSTEM SET wal_level = 'logical' (or set it in postgresql.conf), restart the server" + then), nil
	case may != int64(1):
		return abi.Errorf(op, abi.Denied, "role "+role, "it lacks the attribute REPLICATION, which reading changes from the server's log needs").
			WithHint("run ALTER ROLE %s REPLICATION as an administrator%s", quoteName(role), then), nil
	}
	conn, err := h.replication(ctx)
	if err != nil {
		e := abi.Errorf(op, abi.Unsupported, "replication connection", "it cannot be opened: %w", plain(err))
		e.Hint = "let pg_hba.conf allow it, and name the server itself in dbos_direct if a pooler stands before it; or use dbos_history=triggers"
		return e, nil
	}
	return nil, conn.Close(ctx)
}

// resume goes on with capture as it was: the slot may be lost, and tables may
// have been changed behind the engine's back.
func (h *history) resume(ctx context.Context, capture string) error {
	if capture == captureLogical {
		if err := h.renewSlot(ctx); err != nil {
			return err
		}
	}
	return h.transact(ctx, func(tx executor) error {
		if err := h.reconcile(ctx, tx, capture, false); err != nil || capture != captureTriggers {
			return err
		}
		// What was found gets a record as strangers' changes do; in the log
		// it is seen without.
		return tx.exec(ctx, `INSERT INTO dbos_stranger SELECT DISTINCT xid FROM dbos_definition WHERE xid = pg_current_xact_id()::text::bigint`)
	})
}

// switchTo changes the state of capture. History has a gap there: nobody can
// read across it.
func (h *history) switchTo(ctx context.Context, capture string) error {
	err := h.transact(ctx, func(tx executor) error {
		if err := h.set(ctx, tx, "ready", "no"); err != nil {
			return err
		}
		return h.publications(ctx, tx, capture)
	})
	if err != nil {
		return err
	}
	if capture == captureLogical {
		if err := h.createSlot(ctx); err != nil {
			return err
		}
	} else if err := h.dropSlot(ctx); err != nil {
		return err
	}
	err = h.transact(ctx, func(tx executor) error {
		if err := h.set(ctx, tx, "capture", capture); err != nil {
			return err
		}
		if err := h.release(ctx, tx, capture); err != nil || capture == captureOff {
			return err
		}
		return h.reconcile(ctx, tx, capture, true)
	})
	if err != nil {
		return err
	}
	return h.begin(ctx)
}

// begin lets history begin here.
func (h *history) begin(ctx context.Context) error {
	rows, err := h.sql.query(ctx, "SELECT pg_current_wal_insert_lsn()::text")
	if err != nil {
		return err
	}
	// The place is from before the barrier, so every later ticket's commit is
	// behind it.
	last, err := h.barrier(ctx)
	if err != nil {
		return err
	}
	h.oldest.Store(int64(last))
	return h.transact(ctx, func(tx executor) error {
		if err := h.setOldest(ctx, tx, last, rows[0][0].(string)); err != nil {
			return err
		}
		return h.set(ctx, tx, "ready", "yes")
	})
}

// setOldest records where history begins, and a place of the log that no
// later commit is before.
func (h *history) setOldest(ctx context.Context, tx executor, oldest dbms.LSN, wal string) error {
	err := tx.exec(ctx, "INSERT INTO dbos_meta VALUES ('oldest', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value", int64(oldest))
	if err != nil {
		return err
	}
	return h.set(ctx, tx, "wal", wal)
}

// oldestLSN is the oldest LSN from which Changes can continue.
func (h *history) oldestLSN() dbms.LSN { return dbms.LSN(h.oldest.Load()) }

// close ends what runs in the background and the reading of the log.
func (h *history) close() {
	h.mu.Lock()
	h.closed = true
	streams := h.streams
	h.streams = nil
	h.mu.Unlock()
	h.cancel()
	h.done.Wait()
	for _, s := range streams {
		s.close()
	}
}

// runScript runs statements that have no result, in one exchange with the
// server.
func runScript(ctx context.Context, tx executor, statements ...string) error {
	if len(statements) == 0 {
		return nil
	}
	return tx.exec(ctx, "DO $dbos$ BEGIN "+strings.Join(statements, "; ")+"; END $dbos$")
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
