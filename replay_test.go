package dbos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// A payment is the program that the tests of replay record, and, with some of
// it changed, replay.
type payment struct {
	sql     string // of the first statement
	extra   int    // is paid besides
	read    int    // how many accounts are read
	skip    bool   // no external step
	more    bool   // a step that was not there
	answer  string // of the last transaction
	strange bool   // another kind of external step
}

var recordedPayment = payment{sql: "UPDATE account SET balance = balance - $1 WHERE name = 'ada'", read: 2, answer: "paid"}

func (p payment) define(sys *dbos.System) *dbos.Definition[int, string] {
	note := dbos.Workflow(sys, "note", func(ctx dbos.Context, n int) (int, error) {
		return dbos.Transaction(ctx, "note", func(tx *dbos.Tx) (int, error) { return 2 * n, nil })
	})
	return dbos.Workflow(sys, "payment", func(ctx dbos.Context, n int) (string, error) {
		_, err := dbos.Transaction(ctx, "take", func(tx *dbos.Tx) (time.Time, error) {
			_, err := tx.Exec(p.sql, n+p.extra)
			return tx.Now(), err
		})
		if err != nil {
			return "refused", nil // there is not enough
		}
		if p.more {
			if _, err := dbos.Transaction(ctx, "more", func(tx *dbos.Tx) (int64, error) {
				return tx.Exec("UPDATE account SET balance = balance WHERE name = 'ada'")
			}); err != nil {
				return "", err
			}
		}
		kind := "charge"
		if p.strange {
			kind = "fax"
		}
		charge := ""
		if !p.skip {
			if charge, err = dbos.Step(ctx, kind, func(ctx context.Context) (string, error) { return dbos.IdempotencyKey(ctx), nil }); err != nil {
				return "", err
			}
		}
		if err := dbos.Sleep(ctx, time.Millisecond); err != nil {
			return "", err
		}
		child, err := note.Start(ctx, n)
		if err != nil {
			return "", err
		}
		double, err := child.Result(ctx)
		if err != nil {
			return "", err
		}
		if err := dbos.SetEvent(ctx, "double", double); err != nil {
			return "", err
		}
		return dbos.Transaction(ctx, "give", func(tx *dbos.Tx) (string, error) { return p.give(tx, note, n, charge) })
	})
}

// give is the last transaction: it reads, starts a run, and writes.
func (p payment) give(tx *dbos.Tx, note *dbos.Definition[int, int], n int, charge string) (string, error) {
	rows, err := tx.Query("SELECT balance FROM account ORDER BY name")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	sum := 0
	for range p.read {
		var balance int
		if !rows.Next() {
			break
		}
		if err := rows.Scan(&balance); err != nil {
			return "", err
		}
		sum += balance
	}
	if err := rows.Close(); err != nil {
		return "", err
	}
	run, err := note.StartIn(tx, n)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec("UPDATE account SET balance = balance + $1 WHERE name = 'bob'", n)
	return fmt.Sprintf("%s %d by %s, %d in all, see %s", p.answer, n, charge, sum, run.ID()), err
}

// replayAll replays everything and returns what came of it, by run.
func replayAll(t *testing.T, sys *dbos.System, o dbos.ReplayOptions) (*dbos.ReplayReport, map[string]dbos.Replayed) {
	t.Helper()
	all := map[string]dbos.Replayed{}
	report, err := sys.History().Replay(t.Context(), o, func(r dbos.Replayed) { all[r.Run] = r })
	if err != nil {
		t.Fatal(err)
	}
	return report, all
}

// recordPayments runs a payment, and then 32 of which some are made at the same
// time and the last ones find too little.
func recordPayments(t *testing.T, sys *dbos.System) {
	t.Helper()
	pay := recordedPayment.define(sys)
	given, err := start(t, pay, 5, "alone").Result(t.Context()) // nobody else pays meanwhile
	if err != nil || given == "refused" {
		t.Fatal(given, err)
	}
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for i := range 8 {
				run, err := pay.Start(t.Context(), 5, dbos.ID(fmt.Sprintf("p%d-%d", caller, i)))
				if err == nil {
					_, err = run.Result(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	// What the last transactions started ends too.
	live, err := sys.Runs(t.Context(), dbos.Filter{Live: true})
	for _, run := range live {
		_, failed := sys.Outcome(t.Context(), run.ID)
		err = errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The same program does the same again, on the state that each transaction
// saw; a changed one differs where it was changed, and the report says how it would
// have ended.
func TestReplay(t *testing.T) {
	dir, house := t.TempDir(), t.TempDir()
	sys := openPast(t, dir, dbos.Warehouse(house))
	recordPayments(t, sys)
	before := balance(t, sys, "ada")
	report, all := replayAll(t, sys, dbos.ReplayOptions{})
	if report.Runs < 33 || report.Same != report.Runs || report.Skipped != 0 {
		t.Errorf("%+v", report)
		for _, r := range all {
			if !r.Same {
				t.Errorf("%+v %+v", r, r.Divergence)
			}
		}
	}
	refused := 0
	for _, r := range all {
		if r.Recorded == `"refused"` {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no payment was refused")
	}
	if after := balance(t, sys, "ada"); after != before {
		t.Errorf("ada had %d and has %d", before, after)
	}
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	change := func(fn func(p *payment)) payment { p := recordedPayment; fn(&p); return p }
	for _, c := range []struct {
		kind, step, replayed string // of the payment that was made alone
		program              payment
		same                 bool // it ends as it did
	}{
		{"statement", "take", "name = 'bob'", change(func(p *payment) { p.sql = strings.Replace(p.sql, "ada", "bob", 1) }), false},
		{"statement", "take", "  WHERE", change(func(p *payment) { p.sql = strings.Replace(p.sql, " WHERE", "  WHERE", 1) }), true},
		{"arguments", "take", "(6)", change(func(p *payment) { p.extra = 1 }), false},
		{"rows", "give", "1", change(func(p *payment) { p.read = 1 }), true},
		{"step", "sleep", `sleep "sleep"`, change(func(p *payment) { p.skip = true }), false},
		{"step", "more", `transaction "more"`, change(func(p *payment) { p.more = true }), true},
		{"step", "fax", `step "fax"`, change(func(p *payment) { p.strange = true }), false},
		{"output", "give", "donated", change(func(p *payment) { p.answer = "donated" }), false},
	} {
		t.Run(c.kind+" "+c.replayed, func(t *testing.T) {
			if testing.Short() && c.kind != "step" {
				t.Skip("the long test has all kinds")
			}
			sys := openPast(t, dir, dbos.Warehouse(house))
			defer sys.Close()
			c.program.define(sys)
			report, all := replayAll(t, sys, dbos.ReplayOptions{Runs: []string{"alone"}})
			r := all["alone"]
			if report.Diverged != 1 || r.Divergence == nil {
				t.Fatalf("%+v: %+v", report, r)
			}
			if d := r.Divergence; d.Kind != c.kind || d.Step != c.step || !strings.Contains(d.Replayed, c.replayed) || d.Detail == "" {
				t.Errorf("%+v", d)
			}
			if r.EndsDifferently == c.same {
				t.Errorf("it ended with %s, and now with %s", r.Recorded, r.Replayed)
			}
		})
	}
}

// Over many runs: which would have ended otherwise.
func TestRetroactiveTest(t *testing.T) {
	dir, house := t.TempDir(), t.TempDir()
	sys := openPast(t, dir, dbos.Warehouse(house))
	recordPayments(t, sys)
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	sys = openPast(t, dir, dbos.Warehouse(house))
	changed := recordedPayment
	changed.sql = "UPDATE account SET balance = max(balance - $1, 0) WHERE name = 'ada'" // nobody is refused
	if os.Getenv(engineEnv) == "postgres" {
		changed.sql = strings.Replace(changed.sql, "max", "greatest", 1)
	}
	changed.define(sys)
	report, all := replayAll(t, sys, dbos.ReplayOptions{Names: []string{"payment"}})
	if report.Runs != 33 || report.Diverged != 33 {
		t.Errorf("%+v", report)
	}
	for _, r := range all {
		// Without its external step nobody knows how a refused payment would have ended.
		if r.EndsDifferently != (r.Recorded == `"refused"`) || r.EndsDifferently && !strings.Contains(r.Replayed, `"charge" has no recorded outcome`) {
			t.Errorf("%+v", r)
		}
	}
}

func TestReplayRefuses(t *testing.T) {
	sys := openPast(t, t.TempDir())
	h := sys.History()
	if _, err := h.Replay(t.Context(), dbos.ReplayOptions{}, nil); !errors.Is(err, abi.Unsupported) {
		t.Error("a program without workflows:", err)
	}
	g := newGates()
	gated := g.define(sys)
	start(t, gated, 1, "middle")
	g.await(t, "middle")
	for what, c := range map[string]struct {
		o    dbos.ReplayOptions
		kind abi.Kind
	}{
		"a run that never was": {dbos.ReplayOptions{Runs: []string{"none"}}, abi.NotFound},
		"a negative limit":     {dbos.ReplayOptions{Limit: -1}, abi.Invalid},
		"no time":              {dbos.ReplayOptions{Since: "the day after"}, abi.NotFound},
	} {
		if _, err := h.Replay(t.Context(), c.o, nil); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	report, all := replayAll(t, sys, dbos.ReplayOptions{Runs: []string{"middle"}})
	if r := all["middle"]; report.Skipped != 1 || !errors.Is(r.Skipped, abi.Conflict) {
		t.Errorf("a run that has not ended: %+v", r)
	}
	if none := open(t, t.TempDir(), dbos.NoWarehouse()); true {
		g.define(none)
		if _, err := none.History().Replay(t.Context(), dbos.ReplayOptions{}, nil); !errors.Is(err, abi.Unsupported) {
			t.Error("without a warehouse:", err)
		}
	}
}
