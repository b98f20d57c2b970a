package postgres

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/puddle/v2"

	"github.com/dbos-go/dbos/abi"
)

// A purpose is what a pool's connections are for: their isolation and whom
// they act for when a transaction begins.
type purpose struct {
	isolation string // as in BEGIN ISOLATION LEVEL …
	readOnly  bool
	app       bool // begins as the application's role
	byKey     bool // plans go by key: see keyPlans
}

var (
	forUpdates   = purpose{isolation: "serializable", app: true}
	forViews     = purpose{isolation: "serializable", readOnly: true, app: true}
	forCommitted = purpose{isolation: "read committed", byKey: true}
	forItself    = purpose{isolation: "read committed"} // the engine's own work
)

// maxAge is when a connection is replaced, so that a change of addresses or
// certificates is noticed.
const maxAge = 30 * time.Minute

// A pool holds the connections of one purpose.
type pool struct {
	purpose
	db   *DB
	pool *puddle.Pool[*conn]
}

func newPool(db *DB, p purpose, size int) (*pool, error) {
	q := &pool{purpose: p, db: db}
	inner, err := puddle.NewPool(&puddle.Config[*conn]{
		Constructor: q.connect,
		Destructor:  (*conn).close,
		MaxSize:     int32(size),
	})
	q.pool = inner
	return q, err
}

// connect opens a connection whose session is as the purpose wants it. Behind
// a pooler a session is somebody else's after each transaction, so there the
// transaction begins with what it needs: see tx.begin.
func (p *pool) connect(ctx context.Context) (*conn, error) {
	c, err := connect(ctx, p.db.settings.config, p.db.appName(), p.session())
	if err == nil {
		c.named = !p.db.settings.pooled
	}
	return c, err
}

const (
	// stopPatience is how much longer than a function a transaction may take
	// before the server ends it.
	stopPatience = 30 * time.Second
	// barrierTimeout is how long a barrier may last: see holdBarrier.
	barrierTimeout = "2s"
)

// keyPlans make the services' statements over sets go by key from the first
// time on. A plan that was made while a table was small would otherwise read
// all of it, and stay until the table is analysed.
var keyPlans = map[string]string{
	"enable_seqscan": "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
	"plan_cache_mode": "force_generic_plan",
}

func (p *pool) session() map[string]string {
	s := p.db.settings
	if s.pooled {
		return nil
	}
	params := map[string]string{
		"search_path": s.schema, "default_transaction_isolation": p.isolation, "timezone": "UTC", "jit": "off",
		"DateStyle": "ISO", "IntervalStyle": "postgres", "bytea_output": "hex", "dbos.node": "node",
	}
	if p.readOnly {
		params[readOnlySession] = "on"
	}
	if p.app {
		params["role"] = appRole(s.schema)
	}
	if p.db.major() >= 17 {
		// A process that is stopped in the middle of a transaction does not
		// hold its locks for ever. Older servers have no such limit.
		params["transaction_timeout"] = strconv.FormatInt((p.db.timeout + stopPatience).Milliseconds(), 10)
	}
	if p.byKey {
		maps.Copy(params, keyPlans)
	}
	if p.purpose == forItself {
		params["idle_in_transaction_session_timeout"] = barrierTimeout
	}
	if p.db.async() {
		params["synchronous_commit"] = "off"
	}
	return params
}

// A lease is a connection in use. Exactly one of release and discard ends it.
type lease struct {
	*conn
	resource *puddle.Resource[*conn]
}

// get takes a connection. Its error is that of the context or of connecting.
func (p *pool) get(ctx context.Context) (*lease, error) {
	for {
		r, err := p.pool.Acquire(ctx)
		if errors.Is(err, puddle.ErrClosedPool) {
			return nil, errClosed("dbms.update")
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, stopCause(ctx)
			}
			return nil, err
		}
		c := r.Value()
		if c.broken || time.Since(c.born) > maxAge {
			r.Destroy()
			continue
		}
		if g := p.db.generation.Load(); c.statements.generation != g {
			c.forgetAll(g)
		}
		return &lease{c, r}, nil
	}
}

// release gives the connection back; one that is not clean is closed.
func (l *lease) release() {
	if l.broken || l.unsynced || l.inBlock || l.failed {
		l.resource.Destroy()
		return
	}
	l.resource.Release()
}

// discard closes the connection.
func (l *lease) discard() {
	l.broken = true
	l.resource.Destroy()
}

// reset closes the idle connections, which are probably as dead as one that
// just died, and lets the others close when they come back.
func (p *pool) reset() { p.pool.Reset() }

func (p *pool) close() { p.pool.Close() }

func errClosed(op string) error {
	return abi.Errorf(op, abi.Closed, "database", "it has been closed")
}
