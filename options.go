package dbos

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// An Option changes how Open opens a system.
type Option func(*options)

type options struct {
	url        string // as the system was opened
	db         dbms.Options
	app        string
	migrations fs.FS
	logger     *slog.Logger
	maxRuns    int
	version    string
	codec      Codec
	principal  abi.Principal
	recoveries int
	lease      time.Duration
	warehouse  string // its directory; "" is the default
	noHouse    bool   // there shall be none
	noReads    bool
}

func defaults() options {
	return options{
		app:        "app",
		logger:     slog.New(slog.DiscardHandler),
		maxRuns:    DefaultMaxRuns,
		codec:      jsonCodec{},
		recoveries: DefaultMaxRecoveries,
		lease:      DefaultLease,
	}
}

const (
	// DefaultMaxRuns is how many runs a process executes at once unless
	// MaxRuns says otherwise.
	DefaultMaxRuns = 1024
	// DefaultMaxRecoveries is how often a run may take its process down
	// unless MaxRecoveries says otherwise.
	DefaultMaxRecoveries = 100
	// DefaultLease is how long a process may be silent before others take
	// its runs over, unless Lease says otherwise.
	DefaultLease = 3 * time.Second
	// MinLease and MaxLease bound Lease.
	MinLease = 300 * time.Millisecond
	MaxLease = 24 * time.Hour
)

// App names the application, which owns its migrations; the default is "app".
func App(name string) Option { return func(o *options) { o.app = name } }

// Migrations brings the application's tables up to date on Open: the files
// 0001_name.sql, 0002_name.sql, … in the root of fsys, each run once, in one
// transaction. Files are only added: one that has run must not change.
func Migrations(fsys fs.FS) Option { return func(o *options) { o.migrations = fsys } }

// Durability says what a returned call is safe from; the default is
// dbms.Sync, which survives a power cut.
func Durability(d dbms.Durability) Option { return func(o *options) { o.db.Durability = d } }

// Retention says how long history is kept; the default is three days, and a
// negative duration means for ever.
func Retention(d time.Duration) Option { return func(o *options) { o.db.Retention = d } }

// NoHistory turns the recording of changes off, to measure what it costs.
func NoHistory() Option { return func(o *options) { o.db.NoHistory = true } }

// NoReads turns the recording of statements and reads off: history then has
// what was changed and by whom, but not what was looked at before, so that a
// replay compares less and an undo finds less of what followed.
func NoReads() Option { return func(o *options) { o.noReads = true } }

// Warehouse names the directory of the column store that keeps the history. The
// default is history in the system's directory, or, for a database behind a
// network, a directory of the user's cache that goes by the database's name.
func Warehouse(dir string) Option { return func(o *options) { o.warehouse = dir } }

// NoWarehouse does without the column store: history is kept in the database for
// its Retention, and cannot be asked, nor gone back to.
func NoWarehouse() Option { return func(o *options) { o.noHouse = true } }

// TransactionTimeout bounds each transaction function; the default is five
// seconds.
func TransactionTimeout(d time.Duration) Option { return func(o *options) { o.db.Timeout = d } }

// Clock replaces the host's clock as the source of the database's time, for
// tests. Time never runs backwards, whatever it says.
func Clock(now func() time.Time) Option { return func(o *options) { o.db.Now = now } }

// Existing opens only a system that is there already: where there is none, the
// error is of kind abi.NotFound, and nothing is made.
func Existing() Option { return func(o *options) { o.db.Existing = true } }

// Logger gets the system's log; the default discards it.
func Logger(l *slog.Logger) Option { return func(o *options) { o.logger, o.db.Logger = l, l } }

// MaxRuns says how many runs this process executes at once, at least 1.
// Further ones are queued. Runs that wait do not count.
func MaxRuns(n int) Option { return func(o *options) { o.maxRuns = n } }

// MaxRecoveries says how often a run may be executing when its process dies
// before it is failed, lest it take down one process after the other.
func MaxRecoveries(n int) Option { return func(o *options) { o.recoveries = n } }

// Lease says how long this process may be silent before others take its runs
// over, on a database that many machines share. It is heard three times as
// often. Shorter leases make recovery faster and false alarms likelier: a
// process that was only slow then repeats the steps that it was in.
func Lease(d time.Duration) Option { return func(o *options) { o.lease = d } }

// Version names the application's version, which is recorded with each run.
func Version(v string) Option { return func(o *options) { o.version = v } }

// WithCodec stores inputs, outputs and events in another form than JSON. Runs
// remember their codec's name: they can only be continued by a program that
// has it.
func WithCodec(c Codec) Option { return func(o *options) { o.codec = c } }

// DefaultPrincipal is who acts when a context names nobody (WithPrincipal);
// the default is the operating system's user, "os:NAME".
func DefaultPrincipal(p abi.Principal) Option { return func(o *options) { o.principal = p } }

func (o *options) check() error {
	if err := abi.CheckName("dbos.open", "application", o.app); err != nil {
		return err
	}
	if o.maxRuns < 1 {
		return abi.Errorf("dbos.open", abi.Invalid, "option MaxRuns", "%d is below 1", o.maxRuns)
	}
	if o.recoveries < 0 {
		return abi.Errorf("dbos.open", abi.Invalid, "option MaxRecoveries", "%d is negative", o.recoveries)
	}
	if o.lease < MinLease || o.lease > MaxLease {
		return abi.Errorf("dbos.open", abi.Invalid, "option Lease", "%v is outside %v to %v", o.lease, MinLease, MaxLease)
	}
	if o.codec == nil || o.logger == nil {
		return abi.Errorf("dbos.open", abi.Invalid, "options", "a nil codec or logger")
	}
	return abi.CheckName("dbos.open", "codec", o.codec.Name())
}
