package prov

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/warehouse"
)

// A heard past signals what is asked of it.
type heard struct {
	*record
	spooled chan struct{}
	expired chan struct{}
	broken  atomic.Bool
}

func (h *heard) Spool(ctx context.Context, db dbms.DB, upto dbms.LSN) (dbms.LSN, error) {
	if h.broken.Load() {
		return 0, abi.Errorf("warehouse.spool", abi.Exhausted, "disk", "it is full")
	}
	lsn, err := h.record.Spool(ctx, db, upto)
	signal(h.spooled)
	return lsn, err
}

func (h *heard) Expire(context.Context) error { signal(h.expired); return nil }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// logged signals warnings.
type logged struct {
	slog.Handler
	c chan struct{}
}

func (l logged) Enabled(context.Context, slog.Level) bool      { return true }
func (l logged) Handle(_ context.Context, r slog.Record) error { signal(l.c); return nil }
func (l logged) WithAttrs([]slog.Attr) slog.Handler            { return l }
func (l logged) WithGroup(string) slog.Handler                 { return l }
func until(t *testing.T, c chan struct{}, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-c:
		case <-time.After(20 * time.Second):
			t.Fatal("nothing has happened for 20 seconds")
		}
	}
}

// TestFollowing: the warehouse is opened when something has waited, gets what is
// committed, and the database is trimmed behind it; failures are told and retried.
func TestFollowing(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		s, err := New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		h := &heard{record: &record{}, spooled: make(chan struct{}, 1), expired: make(chan struct{}, 1)}
		warned := make(chan struct{}, 1)
		opened := make(chan struct{}, 1)
		o := Options{Dir: t.TempDir(), Logger: slog.New(logged{c: warned}),
			pace: pace{look: time.Millisecond, patient: time.Millisecond, tidy: time.Millisecond, least: 1, retry: time.Millisecond, warn: time.Millisecond},
			open: func(context.Context, string, warehouse.Options) (past, error) { signal(opened); return h, nil }}
		if _, err := s.Warehouse(t.Context()); !errors.Is(err, abi.Unsupported) {
			t.Errorf("a warehouse before Start: %v", err)
		}
		if err := s.Start(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Start(t.Context(), o); !errors.Is(err, abi.Conflict) {
			t.Errorf("a second Start: %v", err)
		}
		until(t, opened, func() bool { return h.Position().LSN > 0 || s.follower.Load().current() != nil })
		w := &world{t: t, db: db, s: s}
		lsn := w.do(`CREATE TABLE app (id BIGINT PRIMARY KEY)`, `INSERT INTO app VALUES (1)`)
		until(t, h.spooled, func() bool { return h.Position().LSN >= lsn })
		until(t, h.expired, func() bool {
			w.do(`DELETE FROM app WHERE id = 9`) // the last commit is never trimmed
			return db.Status().OldestLSN >= lsn
		})
		if got := w.list(`SELECT count(*) FROM prov_warehouse`); got != "1" {
			t.Errorf("%s warehouses are registered", got)
		}
		h.broken.Store(true)
		lsn = w.do(`INSERT INTO app VALUES (2)`)
		until(t, warned, func() bool {
			st, err := s.Status(t.Context())
			return err == nil && st.Problem != "" && st.Behind > 0
		})
		h.broken.Store(false)
		until(t, h.spooled, func() bool { return h.Position().LSN >= lsn })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.Flush(t.Context()); !errors.Is(err, abi.Closed) {
			t.Errorf("flushing after Close: %v", err)
		}
	})
}

// TestTrimSpares: what is young, and what another warehouse has not got, is not
// trimmed; a warehouse that was not heard of for as long as history is kept does not count.
func TestTrimSpares(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		w := newWorld(t, db)
		f := w.s.follower.Load()
		f.options.pace.least = 1
		w.do(`CREATE TABLE app (id BIGINT PRIMARY KEY)`)
		trimmed := func(when string, young time.Duration) bool {
			t.Helper()
			if _, err := w.s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			before := db.Status().OldestLSN
			f.options.pace.young = young
			if err := f.tidy(w.past); err != nil {
				t.Fatal(when, err)
			}
			return db.Status().OldestLSN > before
		}
		if trimmed("what is young", time.Hour) {
			t.Error("what is younger than an hour was trimmed")
		}
		w.call(abi.Call{}, `INSERT INTO prov_warehouse (id, node, lsn, at) VALUES ('other', 'n', 0, `+itoa(dbms.LSN(time.Now().UnixMicro()))+`)`)
		if trimmed("another", 0) {
			t.Error("what another warehouse needs was trimmed")
		}
		w.call(abi.Call{}, `UPDATE prov_warehouse SET at = 1 WHERE id = 'other'`)
		if !trimmed("forgotten", 0) {
			t.Error("a warehouse that nobody hears of keeps history from being trimmed")
		}
	})
}

// TestTexts: a text is written with the first commit that names it, and again
// if that was rolled back.
func TestTexts(t *testing.T) {
	dbmstest.OnEngines(t, func(t *testing.T, db dbms.DB) {
		s, err := New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, db: db, s: s}
		stop := errors.New("stop")
		remember := func(fail error) {
			texts := s.Texts()
			_, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
				texts = s.Texts()
				for range 2 {
					if err := texts.Remember(tx, 7, "SELECT 7"); err != nil {
						return err
					}
				}
				return fail
			})
			if !errors.Is(err, fail) {
				t.Fatal(err)
			}
			if err == nil {
				texts.Committed()
			}
		}
		remember(stop)
		remember(nil)
		if got := w.list(`SELECT id, text FROM prov_text`); got != "7 SELECT 7" {
			t.Errorf("the texts are %q", got)
		}
		before := db.Status().LastLSN
		remember(nil)
		commits, err := db.Changes(t.Context(), before, 10)
		if err != nil || len(commits) > 1 || len(commits) == 1 && len(commits[0].Changes) > 0 {
			t.Errorf("a known text was written again: %v, %v", commits, err)
		}
	})
}

func TestQueries(t *testing.T) {
	dbmstest.PrepareSchema(t, dbms.Schema{Owner: "prov", Files: schema, Queries: queries})
}
