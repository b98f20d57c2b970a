package prov

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
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

	open func(ctx context.Context, dir string, o warehouse.Options) (past, error)
	pace pace
}

// A pace says how often the following does what.
type pace struct {
	look    time.Duration // how often it looks whether there is something to spool
	patient time.Duration // how long something waits before the warehouse is opened for it
	tidy    time.Duration // how often the position is registered, and the database trimmed
	young   time.Duration // what is younger is not trimmed
	least   dbms.LSN      // fewer LSNs than that are not worth a trim
	retry   time.Duration // after a failure
	warn    time.Duration // how far behind is worth a warning
}

var usualPace = pace{
	look: time.Second, patient: 5 * time.Second, tidy: 10 * time.Minute, young: 10 * time.Minute, least: 1000,
	retry: 30 * time.Second, warn: 5 * time.Minute,
}

// A follower keeps a warehouse up to date with the database.
type follower struct {
	s       *Service
	options Options
	log     *slog.Logger
	ctx     context.Context
	stop    context.CancelFunc
	done    sync.WaitGroup

	opening sync.Mutex // held while the warehouse is opened
	mu      sync.Mutex // the rest
	past    past
	problem error
	behind  time.Time // since when something waits; zero if nothing does
	warned  time.Time
	tidied  time.Time
	own     dbms.LSN // of the last registration
}

// Start begins to follow the database in the background: changes are spooled
// into the warehouse, and what every registered warehouse has made durable is
// trimmed from the database once it is ten minutes old. The warehouse is opened at its first
// use, or when something has waited for five seconds to be spooled. Commits never
// wait for it: if it does not keep up it falls behind, which Status and the log say.
//
// In a build without the column store it returns abi.Unsupported, and so does
// everything that needs it.
func (s *Service) Start(_ context.Context, o Options) error {
	if o.open == nil {
		if !warehouse.Supported {
			return unsupported("prov.start")
		}
		o.open = openWarehouse
	}
	if o.Dir == "" {
		return abi.Errorf("prov.start", abi.Invalid, "option Dir", "it is empty").WithHint("name the warehouse's directory")
	}
	o.Retention = cmp.Or(o.Retention, dbms.DefaultRetention)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.pace == (pace{}) {
		o.pace = usualPace
	}
	f := &follower{s: s, options: o, log: o.Logger}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.tidied = time.Now()
	if !s.follower.CompareAndSwap(nil, f) {
		return abi.Errorf("prov.start", abi.Conflict, "warehouse "+o.Dir, "the database is being followed already")
	}
	f.done.Go(f.follow)
	return nil
}

func openWarehouse(ctx context.Context, dir string, o warehouse.Options) (past, error) {
	w, err := warehouse.Open(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	return w, nil
}

func unsupported(op string) error {
	return abi.Errorf(op, abi.Unsupported, "history", "this build has no column store").
		WithHint("build with CGO_ENABLED=1 and a C compiler")
}

// Close ends the background work and closes the warehouse. The database stays
// open.
func (s *Service) Close() error {
	f := s.follower.Load()
	if f == nil {
		return nil
	}
	f.stop()
	f.done.Wait()
	f.opening.Lock()
	defer f.opening.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.past
	f.past, f.problem = nil, abi.Errorf("prov", abi.Closed, "history", "it has been closed")
	if w == nil {
		return nil
	}
	return w.Close()
}

// Warehouse returns the warehouse, and opens it if need be. It stays the
// service's, which closes it.
func (s *Service) Warehouse(ctx context.Context) (*warehouse.Warehouse, error) {
	p, err := s.past(ctx)
	if err != nil {
		return nil, err
	}
	w, ok := p.(*warehouse.Warehouse)
	if !ok {
		return nil, unsupported("prov.warehouse")
	}
	return w, nil
}

func (s *Service) past(ctx context.Context) (past, error) {
	f := s.follower.Load()
	if f == nil {
		return nil, abi.Errorf("prov.warehouse", abi.Unsupported, "history", "the database is not followed").
			WithHint("open the system with a warehouse, in a build with the column store (CGO_ENABLED=1)")
	}
	return f.opened(ctx)
}

// opened returns the warehouse, and opens it if need be.
func (f *follower) opened(ctx context.Context) (past, error) {
	if w := f.current(); w != nil {
		return w, nil
	}
	f.opening.Lock()
	defer f.opening.Unlock()
	if w := f.current(); w != nil {
		return w, nil
	}
	if f.ctx.Err() != nil {
		return nil, abi.Errorf("prov.warehouse", abi.Closed, "history", "it has been closed")
	}
	o := f.options
	w, err := o.open(ctx, o.Dir, f.warehouseOptions())
	f.mu.Lock()
	defer f.mu.Unlock()
	f.past, f.problem = w, err
	if err != nil {
		f.past = nil
	}
	return f.past, err
}

func (f *follower) warehouseOptions() warehouse.Options {
	o := f.options
	return warehouse.Options{
		Memory: o.Memory, Threads: o.Threads, Retention: o.Retention, MaxBytes: o.MaxBytes, Logger: o.Logger, Now: o.Now,
		Resolve: f.resolve,
	}
}

// resolve is what a moment means within a query of the warehouse, which reads
// what is spooled.
func (f *follower) resolve(ctx context.Context, text string) (dbms.LSN, error) {
	w := f.current()
	if w == nil {
		return 0, abi.Errorf("prov.moment", abi.Closed, "history", "it has been closed")
	}
	m, err := f.s.locate(ctx, w, text)
	return m.LSN, err
}

func (f *follower) current() past {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.past
}

// Flush spools until the warehouse has every commit that had returned when
// Flush was called, and returns the LSN up to which it then has them all: who queries after it reads
// what it wrote.
func (s *Service) Flush(ctx context.Context) (dbms.LSN, error) {
	w, err := s.past(ctx)
	if err != nil {
		return 0, err
	}
	var upto dbms.LSN
	if err := s.db.View(ctx, func(tx dbms.Tx) error { upto = tx.LSN(); return nil }); err != nil {
		return 0, err
	}
	if w.Position().LSN >= upto {
		return w.Position().LSN, nil
	}
	return w.Spool(ctx, s.db, upto)
}

// follow is the background's goroutine.
func (f *follower) follow() {
	wait := f.options.pace.look
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = f.options.pace.look
		err := f.turn()
		if f.ctx.Err() != nil {
			return
		}
		f.mu.Lock()
		if f.problem = err; err != nil {
			wait = f.options.pace.retry
		}
		f.mu.Unlock()
		f.complain(err)
	}
}

// turn does what there is to do now.
func (f *follower) turn() error {
	w := f.current()
	last := f.s.db.Status().LastLSN
	switch {
	case w == nil && !f.due(last):
		return nil
	case w == nil:
		var err error
		if w, err = f.opened(f.ctx); err != nil {
			return err
		}
	}
	// Where others write too, only asking tells whether there is something.
	if w.Position().LSN < last || f.s.db.Status().Engine != "sqlite" {
		f.waits(true)
		if _, err := w.Spool(f.ctx, f.s.db, 0); err != nil {
			return err
		}
	}
	f.waits(false)
	if now := time.Now(); now.Sub(f.tidied) >= f.options.pace.tidy {
		f.tidied = now
		return f.tidy(w)
	}
	return nil
}

// due reports whether something has waited for long enough to open the
// warehouse for it.
func (f *follower) due(last dbms.LSN) bool {
	if last <= f.s.db.Status().OldestLSN {
		return false
	}
	f.waits(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Since(f.behind) >= f.options.pace.patient
}

// waits notes whether something waits to be spooled.
func (f *follower) waits(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !yes:
		f.behind = time.Time{}
	case f.behind.IsZero():
		f.behind = time.Now()
	}
}

// complain warns now and then when something is wrong.
func (f *follower) complain(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	late := !f.behind.IsZero() && time.Since(f.behind) > f.options.pace.warn
	if err == nil && !late || time.Since(f.warned) < f.options.pace.warn {
		return
	}
	f.warned = time.Now()
	if err != nil {
		f.log.Warn("history is not spooled; the database keeps it until then", "dir", f.options.Dir, "error", err, "hint", abi.HintOf(err))
		return
	}
	f.log.Warn("history is spooled more slowly than it is made; the database keeps it until then", "dir", f.options.Dir, "behind", time.Since(f.behind))
}

// tidy registers how far the warehouse is and trims what no warehouse needs
// any more. It holds no lock of the warehouse while it waits for the database.
func (f *follower) tidy(w past) error {
	s, o := f.s, f.options
	// Only what the archive has counts: then the warehouse can be made again
	// without a gap, whatever becomes of its file.
	if w.Position().LSN > f.own {
		if err := w.Seal(f.ctx); err != nil {
			return err
		}
		at := w.Status().Sealed
		lsn, err := s.db.Update(f.ctx, abi.Call{Procedure: "prov.register", Principal: abi.System}, func(tx dbms.Tx) error {
			if _, err := tx.Exec(s.q.WarehousePut, s.warehouseID(o.Dir), s.db.Status().Node, at.LSN, at.Time); err != nil {
				return err
			}
			if o.Retention < 0 {
				return nil
			}
			_, err := s.ForgetViews(tx, tx.Now().Add(-o.Retention), forgetBatch)
			return err
		})
		if err != nil {
			return err
		}
		f.own = lsn
	}
	return errors.Join(f.trim(), w.Expire(f.ctx))
}

// forgetBatch is how many reads are forgotten at once.
const forgetBatch = 10_000

// trim forgets in the database what all warehouses have. One that has not been
// heard of for as long as history is kept does not count, and what is older than that
// goes in any case, so that the database does not grow without end.
func (f *follower) trim() error {
	s, o := f.s, f.options
	var upto dbms.LSN
	var before, now time.Time
	err := s.db.View(f.ctx, func(tx dbms.Tx) error {
		now = tx.Now()
		since := time.Unix(0, 0)
		if o.Retention > 0 {
			since = now.Add(-o.Retention)
		}
		upto, before = 0, time.Time{}
		return each(tx, s.q.WarehouseOldest, func(row []dbms.Value) error {
			upto, before = dbms.LSN(numberOf(row[0])), time.UnixMicro(numberOf(row[1]))
			return nil
		}, since)
	})
	if err != nil {
		return err
	}
	if limit := now.Add(-o.pace.young); before.After(limit) {
		before = limit
	}
	if limit := now.Add(-o.Retention); o.Retention > 0 && before.Before(limit) {
		before = limit
	} else if upto < s.db.Status().OldestLSN+o.pace.least {
		return nil
	}
	_, err = s.db.Trim(f.ctx, before)
	return err
}

// warehouseID names a warehouse by the process's machine and its directory.
func (s *Service) warehouseID(dir string) string { return s.host + ":" + dir }
