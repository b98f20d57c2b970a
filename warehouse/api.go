package warehouse

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Options of Open. The zero value of each is its default.
type Options struct {
	// Memory bounds what the column store holds in memory, in bytes; what does not
	// fit goes to disk. 0 means DefaultMemory.
	Memory int64
	// Threads bounds the cores it uses for one query; 0 means all.
	Threads int
	// Retention is how long versions are kept that are no longer valid: 0 means
	// dbms.DefaultRetention, negative for ever. The newest version of a live row is kept
	// however old it is.
	Retention time.Duration
	// MaxBytes bounds the warehouse on disk, the archive included: the oldest history goes first,
	// however young. 0 does not bound it.
	MaxBytes int64
	// Logger gets warnings about what needs an operator; nil discards them.
	Logger *slog.Logger
	// Now replaces the clock that Retention goes by.
	Now func() time.Time
	// Resolve says what moment a text means, within SQL (product_at('16 minutes ago')); nil
	// understands LSNs and times as of RFC 3339.
	Resolve func(ctx context.Context, moment string) (dbms.LSN, error)
}

// DefaultMemory is what the column store holds in memory unless said otherwise.
const DefaultMemory = 512 << 20

// A Moment is a state of the database: all commits up to LSN. Time is that of
// the last of them. The zero Moment is the empty database.
type Moment struct {
	LSN  dbms.LSN  `json:"lsn"`
	Time time.Time `json:"time"`
}

// String returns "LSN 12 (2026-11-21T18:05:00Z)".
func (m Moment) String() string {
	if m.Time.IsZero() {
		return fmt.Sprintf("LSN %d", m.LSN)
	}
	return fmt.Sprintf("LSN %d (%s)", m.LSN, m.Time.UTC().Format(time.RFC3339Nano))
}

// A Gap is history that the database had trimmed before it could be spooled:
// nobody knows the states between the two moments. The states at both are known.
type Gap struct {
	After Moment `json:"after"`
	Upto  Moment `json:"upto"`
}

// A Status describes a warehouse.
type Status struct {
	Dir      string `json:"dir"`
	Oldest   Moment `json:"oldest"` // the oldest state that can be asked for
	Newest   Moment `json:"newest"` // what has been spooled
	Sealed   Moment `json:"sealed"` // what the archive holds
	Gaps     []Gap  `json:"gaps,omitempty"`
	Tables   int    `json:"tables"`   // there are now
	Rows     int64  `json:"rows"`     // live ones, over all tables
	Versions int64  `json:"versions"` // no longer valid ones, over all tables
	Commits  int64  `json:"commits"`
	Bytes    int64  `json:"bytes"`    // on disk: database, its log and the archive
	Archive  int64  `json:"archive"`  // of them, the archive
	Segments int    `json:"segments"` // of the archive
	// Spooled, SpoolTime and SpoolChanges describe the last Spool that had
	// something to do: when it ended, how long it took, how many rows it brought.
	Spooled      time.Time     `json:"spooled"`
	SpoolTime    time.Duration `json:"spool_time"`
	SpoolChanges int64         `json:"spool_changes"`
}

// A Column describes a column of a result. Type is the column store's own name of it,
// such as BIGINT, VARCHAR or DECIMAL(18,3).
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A Description says what a statement takes and gives. Params are the types of
// $1, $2, … and "" where they cannot be told. A column's Type is "" where it
// depends on the arguments.
type Description struct {
	Params  []string `json:"params"`
	Columns []Column `json:"columns"`
}

// A Table is a tracked table as it was defined at a moment.
type Table struct {
	Name       string   `json:"name"`
	Columns    []string `json:"columns"`
	Types      []string `json:"types"` // as the engine declares them
	KeyColumns []string `json:"key_columns"`
	Schema     string   `json:"schema"` // the engine's DDL
	Since      dbms.LSN `json:"since"`  // of this definition
}

// A Difference is a row that is not the same at two moments. From and To are
// parallel to the columns of the table; nil means that there was no such row.
type Difference struct {
	Key  []dbms.Value
	From []dbms.Value
	To   []dbms.Value
}

// A Filter says which commits are meant: those after After and up to Upto (0:
// the newest) that match all of Execution, Principal and Procedure which are not
// empty. Limit bounds their number; 0 does not.
type Filter struct {
	After     dbms.LSN
	Upto      dbms.LSN
	Execution string
	Principal abi.Principal
	Procedure string
	Limit     int
}

// A Change is a row that a commit changed. Before and After are parallel to
// the columns of the table as it was then; nil means that there was no such row.
type Change struct {
	LSN    dbms.LSN // the change's own
	Commit dbms.LSN
	Table  string
	Op     dbms.Op // dbms.Insert, dbms.Update or dbms.Delete
	Key    []dbms.Value
	Before []dbms.Value
	After  []dbms.Value
}
