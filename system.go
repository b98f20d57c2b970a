package dbos

import (
	"context"
	"errors"
	"log/slog"
	"os/user"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/sqlite"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// A System is an open database with its services: a node of DBOS. Its methods
// may be called from any goroutine.
type System struct {
	db      dbms.DB
	tasks   *sched.Service
	journal *workflow.Service
	prov    *prov.Service
	options options
	errors  *errorRegistry
	log     *slog.Logger
	worker  atomic.Pointer[string] // this process, as the owner of leases
	opened  time.Time

	// ctx ends when the system closes; every execution's context is its
	// child.
	ctx  context.Context
	stop context.CancelCauseFunc

	mu          sync.Mutex
	definitions map[string]*definition
	running     map[string]*execution
	outcomes    outcomes
	slots       int  // free ones
	starved     bool // the dispatcher waits for a slot
	launched    bool
	closing     bool
	freed       chan struct{} // a slot became free while starved
	registered  chan struct{} // a workflow was registered after Launch
	cancels     atomic.Uint64 // how often cancelled runs were looked for
	recheck     chan struct{} // they must be looked for again
	heart       heart         // on a database that many machines share
	statements  statementTexts
	views       views
	executions  sync.WaitGroup
	background  sync.WaitGroup
	closed      func() error
}

// errClosing is why executions stop when the system closes.
var errClosing = abi.Errorf("dbos.close", abi.Closed, "system", "it is closing")

// Open opens the system at a URL and brings its tables up to date:
//
//	file:DIR or DIR  an embedded database in a directory, made if need be
//	postgres://…     a PostgreSQL database, which any number of processes share
//
// Register all workflows, then call Launch, or start one.
func Open(ctx context.Context, url string, opts ...Option) (*System, error) {
	o := defaults()
	o.url = url
	for _, opt := range opts {
		opt(&o)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.principal == "" {
		o.principal = osUser()
	}
	db, err := openDB(ctx, url, o.engine())
	if err != nil {
		return nil, err
	}
	s, err := newSystem(ctx, db, o)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// openDB opens the engine that a URL names.
func openDB(ctx context.Context, url string, o dbms.Options) (dbms.DB, error) {
	scheme, rest, found := strings.Cut(url, ":")
	switch {
	case url == "":
		return nil, abi.Errorf("dbos.open", abi.Invalid, "URL", "it is empty").
			WithHint("name a directory, such as file:dbos-data")
	case found && (scheme == "postgres" || scheme == "postgresql"):
		return opened(postgres.Open(ctx, url, o))
	case found && scheme == "file":
		return opened(sqlite.Open(ctx, strings.TrimPrefix(rest, "//"), o))
	case found && strings.HasPrefix(rest, "//"):
		return nil, abi.Errorf("dbos.open", abi.Unsupported, "URL scheme "+scheme, "no engine has it").
			WithHint("use file:DIR or postgres://…")
	}
	return opened(sqlite.Open(ctx, url, o))
}

// opened returns an engine as a dbms.DB, and none as nil.
func opened[T dbms.DB](db T, err error) (dbms.DB, error) {
	if err != nil {
		return nil, err
	}
	return db, nil
}

func osUser() abi.Principal {
	if u, err := user.Current(); err == nil {
		return abi.Principal("os:" + u.Username)
	}
	return "os:unknown"
}

func newSystem(ctx context.Context, db dbms.DB, o options) (*System, error) {
	s := &System{
		db: db, options: o, errors: newErrorRegistry(), log: o.logger,
		opened:      time.Now(),
		definitions: map[string]*definition{}, running: map[string]*execution{},
		slots: o.maxRuns, freed: make(chan struct{}, 1), registered: make(chan struct{}, 1), recheck: make(chan struct{}, 1),
	}
	s.worker.Store(new(db.Status().Node))
	s.heart.init()
	s.views.init(s)
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.closed = sync.OnceValue(s.close)
	var err error
	if s.tasks, err = sched.New(ctx, db); err != nil {
		return nil, err
	}
	if s.journal, err = workflow.New(ctx, db); err != nil {
		return nil, err
	}
	if s.prov, err = prov.New(ctx, db); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, err
	}
	return s, s.startHistory(ctx)
}

// migrate brings the application's tables up to date.
func (s *System) migrate(ctx context.Context) error {
	if s.options.migrations == nil {
		return nil
	}
	steps, err := dbms.LoadMigrations(s.options.migrations, ".", s.db.Status().Engine)
	if err != nil {
		return err
	}
	return s.db.Migrate(ctx, dbms.Migrations{Owner: "app:" + s.options.app, Application: true, Steps: steps})
}

// Launch begins to execute: runs that a dead process left, queued ones, and
// waiting ones whose time has come. Register every workflow before. Start
// launches too; a second Launch does nothing.
func (s *System) Launch(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return closedError("dbos.launch")
	}
	if s.launched {
		return nil
	}
	_, err := s.db.Update(ctx, s.call("sched.register", abi.System), func(tx dbms.Tx) error {
		return s.tasks.Register(tx, *s.worker.Load(), s.options.lease)
	})
	if err != nil {
		return err
	}
	s.launched = true
	s.background.Go(s.dispatch)
	s.background.Go(s.watchCancelled)
	s.background.Go(s.watchRestored)
	if s.tasks.Shared() {
		s.background.Go(s.beat)
	}
	return nil
}

func closedError(op string) error {
	return abi.Errorf(op, abi.Closed, "system", "it has been closed")
}

// call returns the identity of a procedure call outside of executions.
func (s *System) call(procedure string, p abi.Principal) abi.Call {
	return abi.Call{Procedure: procedure, Principal: p}
}

// closeGrace is how long Close waits for steps that do not heed their
// context.
const closeGrace = 10 * time.Second

// Close stops executing and closes the database. Running steps see their
// context cancelled; runs that did not finish continue when the system is
// launched again. A step that does not return within ten seconds is left
// behind, and repeated then.
func (s *System) Close() error { return s.closed() }

func (s *System) close() error {
	s.mu.Lock()
	s.closing = true
	launched := s.launched
	s.mu.Unlock()
	s.stop(errClosing)
	s.background.Wait()
	ended := make(chan struct{})
	go func() { s.executions.Wait(); close(ended) }()
	var err error
	select {
	case <-ended:
		if launched {
			_, err = s.db.Update(context.Background(), s.call("sched.retire", abi.System), func(tx dbms.Tx) error {
				return s.tasks.Retire(tx, *s.worker.Load())
			})
		}
	case <-time.After(closeGrace):
		s.log.Warn("closing while steps are still running", "after", closeGrace)
	}
	return errors.Join(err, s.prov.Close(), s.db.Close())
}

// Status describes a system.
type Status struct {
	dbms.Status
	App      string
	Version  string // the application's
	Opened   time.Time
	Launched bool
	Runs     map[State]int // unfinished ones by state
	Nodes    []Node        // that execute runs, or did until they died lately
}

// A Node is a process that executes runs.
type Node = sched.Worker

// Status returns the system's state.
func (s *System) Status(ctx context.Context) (Status, error) {
	s.mu.Lock()
	st := Status{Status: s.db.Status(), App: s.options.app, Version: s.options.version, Opened: s.opened, Launched: s.launched}
	s.mu.Unlock()
	err := s.db.View(ctx, func(tx dbms.Tx) error {
		counts, err := s.tasks.Count(tx)
		st.Runs = counts
		if err != nil {
			return err
		}
		st.Nodes, err = s.tasks.Workers(tx)
		return err
	})
	return st, err
}

type principalKey struct{}

// WithPrincipal returns a context whose calls are made in the name of p.
func WithPrincipal(ctx context.Context, p abi.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

func (s *System) principal(ctx context.Context) abi.Principal {
	if p, ok := ctx.Value(principalKey{}).(abi.Principal); ok {
		return p
	}
	return s.options.principal
}
