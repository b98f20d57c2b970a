package pgwire

import (
	"log/slog"
	"time"
)

const (
	// MaxConnections is how many clients may be connected unless an option says
	// otherwise.
	MaxConnections = 100
	// MaxMessage is the largest message of a client, in bytes.
	MaxMessage = 16 << 20
	// MaxStatements and MaxPortals bound what a session may keep prepared or
	// open.
	MaxStatements = 1_000
	MaxPortals    = 16
)

// An Option changes how an endpoint serves.
type Option func(*config)

type config struct {
	log         *slog.Logger
	drain       time.Duration
	statement   time.Duration
	write       time.Duration
	connections int
	password    string
}

// Logger receives what goes wrong in the endpoint itself. The default discards
// it.
func Logger(l *slog.Logger) Option { return func(c *config) { c.log = l } }

// Drain is how long Close lets statements that are under way finish before it
// ends them; the default is 5 s.
func Drain(d time.Duration) Option { return func(c *config) { c.drain = d } }

// StatementTime bounds one statement, with the time that its client takes to
// read the rows; the default is 5 minutes. A session may change it for itself with
// SET statement_timeout.
func StatementTime(d time.Duration) Option { return func(c *config) { c.statement = d } }

// WriteTime is how long a client may take none of what it is sent before it is cut
// off; the default is 30 s.
func WriteTime(d time.Duration) Option { return func(c *config) { c.write = d } }

// Connections is how many clients may be connected at once.
func Connections(n int) Option { return func(c *config) { c.connections = n } }

// Password lets in who knows it, whoever runs the client. Without one, clients
// are let in that the endpoint's own user runs, where the operating system can tell.
func Password(p string) Option { return func(c *config) { c.password = p } }

func newConfig(opts []Option) config {
	c := config{
		log: slog.New(slog.DiscardHandler), drain: 5 * time.Second, statement: 5 * time.Minute,
		write: 30 * time.Second, connections: MaxConnections,
	}
	for _, o := range opts {
		o(&c)
	}
	return c
}
