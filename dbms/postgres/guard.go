package postgres

import (
	"context"
	"sync"
	"time"
)

// cancelPatience is how long a cancelled statement may take to end before its
// connection is given up.
const cancelPatience = 2 * time.Second

// A guard ends the statement that runs on a connection when a context ends.
type guard struct {
	c    *conn
	ctx  context.Context
	stop func() bool

	mu    sync.Mutex
	busy  bool // a statement runs
	fired bool // the context has ended
	sent  bool // the server is asked to cancel
	idle  func()
}

func newGuard(ctx context.Context, c *conn) *guard {
	g := &guard{c: c, ctx: ctx}
	g.stop = context.AfterFunc(ctx, g.fire)
	return g
}

// enter begins a statement; false means that the context has ended.
func (g *guard) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fired || g.ctx.Err() != nil {
		return false
	}
	g.busy = true
	return true
}

// leave ends a statement, and reports whether it may have been cancelled.
func (g *guard) leave() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
	if g.idle != nil {
		g.idle()
		g.idle = nil
	}
	return g.fired
}

// giveBack ends the lease of the connection, on which nothing runs any more. If
// the server was asked to cancel, the request may come late and hit whoever has
// the connection then: so nobody gets it.
func (g *guard) giveBack(l *lease) {
	g.stop()
	g.mu.Lock()
	sent := g.sent
	g.mu.Unlock()
	if sent {
		l.discard()
		return
	}
	l.release()
}

// whenIdle calls fn when nobody uses the connection any more: at once, or at
// the end of the statement that runs. The context has ended, so that no other
// begins, and fire sees to it that this one ends.
func (g *guard) whenIdle(fn func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		g.idle = fn
		return
	}
	fn()
}

// fire asks the server to cancel the statement, and closes the connection if
// that does not help.
func (g *guard) fire() {
	g.mu.Lock()
	g.fired = true
	busy := g.busy
	g.sent = g.sent || busy
	g.mu.Unlock()
	if !busy {
		return
	}
	time.AfterFunc(cancelPatience, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.busy {
			g.c.cut()
		}
	})
	g.c.cancel(cancelPatience)
}

// cancel sends a cancel request, on a connection of its own.
func (c *conn) cancel(patience time.Duration) {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	_ = c.pg.CancelRequest(ctx) // if it does not arrive, the connection is cut
}

// cut makes reading and writing fail at once.
func (c *conn) cut() { _ = c.pg.Conn().SetDeadline(time.Unix(1, 0)) }
