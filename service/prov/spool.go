package prov

import (
	"context"
	"log/slog"
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// Options of Start. The zero value of each is its default.
type Options struct {
	// Dir is the warehouse's directory. It is made when it is first needed.
	Dir string
	// Retention is how long history is kept: 0 for three days, negative for ever.
	Retention time.Duration
	// MaxBytes bounds the warehouse on disk; 0 does not.
	MaxBytes int64
	// Memory and Threads bound the column store's; 0 leaves it its defaults.
	Memory  int64
	Threads int
	// Logger gets warnings about what needs an operator; nil discards them.
	Logger *slog.Logger
	// Now replaces the clock.
	Now func() time.Time
}

// Start begins to follow the database in the background: changes are spooled
// into the warehouse, and what every registered warehouse has made durable is
// trimmed from the database once it is ten minutes old. The warehouse is opened at its first
// use, or when something has waited for five seconds to be spooled. Commits never
// wait for it.
//
// In a build without the column store it returns abi.Unsupported, and so does
// everything that needs it.
func (s *Service) Start(ctx context.Context, o Options) error {
	return notYet("prov.start")
}

// Close ends the background work and closes the warehouse. The database stays
// open.
func (s *Service) Close() error { return nil }

// Flush spools until the warehouse has every commit that had returned when
// Flush was called, and returns the last one's LSN: who queries after it reads
// what it wrote.
func (s *Service) Flush(ctx context.Context) (dbms.LSN, error) {
	return 0, notYet("prov.flush")
}

// Status says how the following goes. Field Lag is how long the oldest commit
// that is not spooled has waited.
type Status struct {
	Dir       string        `json:"dir"`
	Open      bool          `json:"open"` // the warehouse has been needed
	Problem   string        `json:"problem,omitempty"`
	Oldest    Moment        `json:"oldest"`
	Newest    Moment        `json:"newest"` // what is spooled
	Behind    dbms.LSN      `json:"behind"` // LSNs between the database's last commit and what is spooled
	Lag       time.Duration `json:"lag"`
	Trimmed   dbms.LSN      `json:"trimmed"` // the database's own history begins here
	Bytes     int64         `json:"bytes"`   // on disk
	Segments  int           `json:"segments"`
	Tables    int           `json:"tables"`
	Rows      int64         `json:"rows"` // versions
	PerSecond float64       `json:"per_second"`
	Retention time.Duration `json:"retention"`
}

// Status describes the warehouse without opening it.
func (s *Service) Status(ctx context.Context) (Status, error) {
	return Status{}, notYet("prov.status")
}
