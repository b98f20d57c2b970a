package dbos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/warehouse"
)

// openPast is open, with a warehouse in a directory of the test's own.
func openPast(t *testing.T, dir string, opts ...dbos.Option) *dbos.System {
	t.Helper()
	switch {
	case warehouse.Supported:
	case os.Getenv("DBOS_TEST_REQUIRE") != "":
		t.Fatal("this build has no column store; build with cgo and gcc")
	default:
		t.Skip("this build has no column store; build with cgo and gcc")
	}
	return open(t, dir, append([]dbos.Option{dbos.Warehouse(t.TempDir())}, opts...)...)
}

// gates hold runs up in an external step until they are let through, each by
// itself.
type gates struct {
	mu      sync.Mutex
	open    map[string]chan struct{}
	entered chan string
	deaf    map[string]chan struct{} // told when a run that heeds no context has left its function
}

func newGates(deaf ...string) *gates {
	g := &gates{open: map[string]chan struct{}{}, entered: make(chan string, 64), deaf: map[string]chan struct{}{}}
	for _, run := range deaf {
		g.deaf[run] = make(chan struct{}, 8)
	}
	return g
}

func (g *gates) of(run string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open[run] == nil {
		g.open[run] = make(chan struct{})
	}
	return g.open[run]
}

func (g *gates) pass(ctx context.Context, run string) (bool, error) {
	g.entered <- run
	heed := ctx.Done()
	if g.deaf[run] != nil {
		heed = nil
	}
	select {
	case <-g.of(run):
		return true, nil
	case <-heed:
		return false, ctx.Err()
	}
}

// await waits until runs are held up.
func (g *gates) await(t *testing.T, runs ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, run := range runs {
		missing[run] = true
	}
	for len(missing) > 0 {
		select {
		case run := <-g.entered:
			delete(missing, run)
		case <-t.Context().Done():
			t.Fatalf("%v have not come", missing)
		}
	}
}

// define registers a workflow that takes from ada, passes a gate, and gives to
// bob.
func (g *gates) define(sys *dbos.System) *dbos.Definition[int, string] {
	return dbos.Workflow(sys, "gated", func(ctx dbos.Context, n int) (string, error) {
		if left := g.deaf[ctx.RunID()]; left != nil {
			defer func() { left <- struct{}{} }()
		}
		_, err := dbos.Transaction(ctx, "take", func(tx *dbos.Tx) (int64, error) {
			return tx.Exec("UPDATE account SET balance = balance - $1 WHERE name = $2", n, "ada")
		})
		if err != nil {
			return "", err
		}
		run := ctx.RunID()
		if _, err := dbos.Step(ctx, "gate", func(ctx context.Context) (bool, error) { return g.pass(ctx, run) }); err != nil {
			return "", err
		}
		_, err = dbos.Transaction(ctx, "give", func(tx *dbos.Tx) (int64, error) {
			return tx.Exec("UPDATE account SET balance = balance + $1 WHERE name = $2", n, "bob")
		})
		return fmt.Sprintf("%d given", n), err
	})
}

// momentNow is the moment now, as text.
func momentNow(t *testing.T, sys *dbos.System) string {
	t.Helper()
	m, err := sys.History().Moment(t.Context(), "now")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("LSN %d", m.LSN)
}

func start(t *testing.T, def *dbos.Definition[int, string], n int, id string) *dbos.Run[string] {
	t.Helper()
	run, err := def.Start(t.Context(), n, dbos.ID(id))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// given checks what a run ends with.
func given(t *testing.T, run *dbos.Run[string], n int) {
	t.Helper()
	if out, err := run.Result(t.Context()); err != nil || out != fmt.Sprintf("%d given", n) {
		t.Errorf("run %s: %q, %v", run.ID(), out, err)
	}
}

func balances(t *testing.T, sys *dbos.System, ada, bob int) {
	t.Helper()
	if a, b := balance(t, sys, "ada"), balance(t, sys, "bob"); a != ada || b != bob {
		t.Errorf("ada has %d and bob %d, not %d and %d", a, b, ada, bob)
	}
}

func ids(list []dbos.RunPlan) (ids []string) {
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}

// Everything goes back while runs are executed: "ended" was in the middle then and
// has ended since, "middle" is in the middle all the time, and "later" has begun
// since and heeds nothing. Whoever waits gets an answer of the restored world.
func TestRestoreUnderARunningSystem(t *testing.T) {
	g := newGates("later")
	sys := openPast(t, t.TempDir())
	gated := g.define(sys)
	ended, middle := start(t, gated, 10, "ended"), start(t, gated, 20, "middle")
	g.await(t, "ended", "middle")
	then := momentNow(t, sys)
	close(g.of("ended"))
	given(t, ended, 10)
	later := start(t, gated, 5, "later")
	g.await(t, "later")
	balances(t, sys, 65, 10)
	answer := make(chan error, 1)
	go func() {
		_, err := later.Result(t.Context())
		answer <- err
	}()

	plan, err := sys.History().Restore(t.Context(), dbos.RestoreOptions{To: then})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(ids(plan.Resumes), ids(plan.Vanish)); got != "[ended middle] [later]" {
		t.Errorf("resume and vanish: %s; to %s: %+v", got, then, plan)
	}
	if len(plan.External) != 1 || plan.External[0].Run != "ended" || plan.External[0].Name != "gate" {
		t.Errorf("to compensate: %+v", plan.External)
	}
	given(t, ended, 10)
	if err := <-answer; !errors.Is(err, abi.NotFound) {
		t.Error("who waits for a run that has never been gets", err)
	}
	if _, err := sys.Lookup(t.Context(), "later"); !errors.Is(err, abi.NotFound) {
		t.Error("a run that has never been:", err)
	}
	again := start(t, gated, 7, "middle-2") // work goes on
	g.await(t, "middle", "middle-2")
	close(g.of("middle"))
	close(g.of("middle-2"))
	given(t, middle, 20)
	given(t, again, 7)
	close(g.of("later"))
	<-g.deaf["later"] // what it has done does not count
	balances(t, sys, 63, 37)

	// And it can be taken back.
	if _, err := sys.History().Restore(t.Context(), dbos.RestoreOptions{To: fmt.Sprintf("LSN %d", plan.From.LSN)}); err != nil {
		t.Fatal(err)
	}
	given(t, ended, 10)
	given(t, middle, 20)
	given(t, later, 5)
	balances(t, sys, 65, 35)
}

// The process ends between the restore and the runs' going on.
func TestRestoreThenCrash(t *testing.T) {
	g, dir := newGates(), t.TempDir()
	house := t.TempDir()
	sys := openPast(t, dir, dbos.Warehouse(house))
	gated := g.define(sys)
	ended := start(t, gated, 10, "ended")
	g.await(t, "ended")
	then := momentNow(t, sys)
	close(g.of("ended"))
	given(t, ended, 10)
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	sys = openPast(t, dir, dbos.Warehouse(house)) // not launched: nobody executes
	if _, err := sys.History().Restore(t.Context(), dbos.RestoreOptions{To: then}); err != nil {
		t.Fatal(err)
	}
	balances(t, sys, 90, 0)
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	sys = openPast(t, dir, dbos.Warehouse(house))
	g.define(sys)
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	given(t, dbos.Find[string](sys, "ended"), 10)
	balances(t, sys, 90, 10)
}

// A fork is a system of its own: what was in the middle goes on in both.
func TestForkGoesOn(t *testing.T) {
	g := newGates()
	sys := openPast(t, t.TempDir())
	gated := g.define(sys)
	run := start(t, gated, 10, "run")
	g.await(t, "run")
	then := momentNow(t, sys)
	start(t, gated, 5, "later")
	g.await(t, "later")
	dir := t.TempDir() + "/fork"
	report, err := sys.History().Fork(t.Context(), then, urlOf(t, dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Runs != 1 {
		t.Errorf("%+v", report)
	}
	fork := openPast(t, dir)
	theirs := newGates()
	theirs.define(fork)
	if err := fork.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	theirs.await(t, "run")
	close(theirs.of("run"))
	given(t, dbos.Find[string](fork, "run"), 10)
	balances(t, fork, 90, 10)
	balances(t, sys, 85, 0)
	close(g.of("run"))
	given(t, run, 10)
	balances(t, sys, 85, 10)
	if _, err := fork.Lookup(t.Context(), "later"); !errors.Is(err, abi.NotFound) {
		t.Error("a run from after the fork:", err)
	}
}

// What statements and services looked at is kept with the transaction; without
// reads it is not.
func TestFootprints(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []dbos.Option
		want int
	}{{"recorded", nil, 1}, {"NoReads", []dbos.Option{dbos.NoReads()}, 0}} {
		t.Run(c.name, func(t *testing.T) {
			sys := open(t, t.TempDir(), append(c.opts, dbos.NoWarehouse())...)
			const sql = "UPDATE account SET balance = balance - $1 WHERE name = $2"
			err := sys.Update(t.Context(), "pay", func(tx *dbos.Tx) error {
				_, err := tx.Exec(sql, 7, "ada")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			var list []footprint.Statement
			for _, commit := range commitsOf(t, sys, "pay") {
				f, err := footprint.Decode(commit.Note)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, f.Statements...)
			}
			if len(list) != c.want {
				t.Fatalf("%d statements: %+v", len(list), list)
			}
			for _, s := range list {
				if s.Rows != 1 || !s.Writes || fmt.Sprint(s.Args) != "[7 ada]" || s.Text != footprint.TextID(sql) {
					t.Errorf("%+v", s)
				}
			}
			n := 0
			err = sys.View(t.Context(), func(tx *dbos.Tx) error {
				return tx.QueryRow("SELECT count(*) FROM prov_text WHERE text = $1", sql).Scan(&n)
			})
			if err != nil || n != c.want {
				t.Errorf("%d texts, %v", n, err)
			}
		})
	}
}

func commitsOf(t *testing.T, sys *dbos.System, procedure string) (list []dbms.Commit) {
	t.Helper()
	for after := dbms.LSN(0); ; {
		commits, err := sys.Changes(t.Context(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(commits) == 0 {
			return list
		}
		for _, c := range commits {
			if after = c.LSN; c.Call.Procedure == procedure {
				list = append(list, c)
			}
		}
	}
}

// What is read outside of transactions is written down when the system closes at
// the latest.
func TestViewsAreWrittenDown(t *testing.T) {
	dir := t.TempDir()
	sys := open(t, dir, dbos.NoWarehouse())
	ctx := dbos.WithPrincipal(t.Context(), "user:eve")
	const sql = "SELECT balance FROM account WHERE balance > $1"
	err := sys.View(ctx, func(tx *dbos.Tx) error {
		rows, err := tx.Query(sql, 50)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		return rows.Err()
	})
	if err := errors.Join(err, sys.Close()); err != nil {
		t.Fatal(err)
	}
	sys = open(t, dir, dbos.NoWarehouse())
	var who string
	var note []byte
	err = sys.View(t.Context(), func(tx *dbos.Tx) error {
		return tx.QueryRow("SELECT principal, note FROM prov_view").Scan(&who, &note)
	})
	if err != nil || who != "user:eve" {
		t.Fatalf("%q, %v", who, err)
	}
	f, err := footprint.Decode(note)
	if err != nil || len(f.Statements) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	if s := f.Statements[0]; s.Rows != 1 || s.Text != footprint.TextID(sql) || fmt.Sprint(s.Args) != "[50]" {
		t.Errorf("%+v", s)
	}
}
