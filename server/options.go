package server

import (
	"log/slog"
	"runtime"
	"time"
)

const (
	// MaxRequest is the largest request, in bytes. A larger one is refused
	// with abi.Exhausted before it is read.
	MaxRequest = 4 << 20
	// MaxRow is the largest row of an SQL result, in bytes.
	MaxRow = 16 << 20
	// MaxReturned is the largest set of rows, in bytes, that a writing
	// statement may return.
	MaxReturned = 4 << 20
	// MaxRuns is the longest listing of runs.
	MaxRuns = 10_000

	// defaultRuns is the length of a listing that does not ask for one.
	defaultRuns = 100
)

// An Option changes how a door serves.
type Option func(*config)

type config struct {
	log       *slog.Logger
	drain     time.Duration
	statement time.Duration
	queries   int
}

// Logger receives what goes wrong in the door itself, such as a panic in a
// handler. The default discards it.
func Logger(l *slog.Logger) Option { return func(c *config) { c.log = l } }

// Drain is how long Close lets calls that are under way finish before it cuts
// them off; the default is 5 s.
func Drain(d time.Duration) Option { return func(c *config) { c.drain = d } }

// StatementTime bounds one SQL query, with the time that its client takes to
// read the rows; the default is 1 minute. Writing statements are bounded by
// the database's own limit for transactions.
func StatementTime(d time.Duration) Option { return func(c *config) { c.statement = d } }

func newConfig(opts []Option) config {
	c := config{
		log:       slog.New(slog.DiscardHandler),
		drain:     5 * time.Second,
		statement: time.Minute,
		// A query holds a snapshot for as long as its client reads. Fewer
		// queries than the engine has readers, so that clients that stall
		// never stop the node's own reading.
		queries: max(2, runtime.GOMAXPROCS(0)),
	}
	for _, o := range opts {
		o(&c)
	}
	return c
}
