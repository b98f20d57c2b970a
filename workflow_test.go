package dbos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// tables are the migrations of the tests' application.
var tables = fstest.MapFS{
	"0001_account.sql": {Data: []byte(`CREATE TABLE account (name TEXT PRIMARY KEY NOT NULL, balance INTEGER NOT NULL CHECK (balance >= 0));
		INSERT INTO account VALUES ('ada', 100), ('bob', 0);`)},
}

// open opens a system in dir; it is closed when the test ends.
func open(t *testing.T, dir string, opts ...dbos.Option) *dbos.System {
	t.Helper()
	opts = append([]dbos.Option{dbos.Migrations(tables), dbos.Durability(dbms.Async)}, opts...)
	sys, err := dbos.Open(t.Context(), urlOf(t, dir), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close() })
	return sys
}

func balance(t *testing.T, sys *dbos.System, name string) int {
	t.Helper()
	var n int
	err := sys.View(t.Context(), func(tx *dbos.Tx) error {
		return tx.QueryRow("SELECT balance FROM account WHERE name = $1", name).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func transfer(tx *dbos.Tx, from, to string, amount int) error {
	if _, err := tx.Exec("UPDATE account SET balance = balance - $1 WHERE name = $2", amount, from); err != nil {
		return err
	}
	_, err := tx.Exec("UPDATE account SET balance = balance + $1 WHERE name = $2", amount, to)
	return err
}

func TestWorkflowRunsItsStepsOnce(t *testing.T) {
	sys := open(t, t.TempDir())
	var calls atomic.Int32
	pay := dbos.Workflow(sys, "pay", func(ctx dbos.Context, amount int) (string, error) {
		left, err := dbos.Transaction(ctx, "move", func(tx *dbos.Tx) (int, error) {
			return amount, transfer(tx, "ada", "bob", amount)
		})
		if err != nil {
			return "", err
		}
		return dbos.Step(ctx, "tell", func(ctx context.Context) (string, error) {
			calls.Add(1)
			return fmt.Sprintf("%d by %s", left, dbos.IdempotencyKey(ctx)), nil
		})
	})
	run, err := pay.Start(t.Context(), 30, dbos.ID("p1"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := run.Result(t.Context())
	if err != nil || got != "30 by p1/2" {
		t.Fatalf("Result = %q, %v", got, err)
	}
	again, err := pay.Start(t.Context(), 30, dbos.ID("p1"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = again.Result(t.Context()); err != nil || got != "30 by p1/2" {
		t.Fatalf("second Result = %q, %v", got, err)
	}
	if calls.Load() != 1 || balance(t, sys, "bob") != 30 {
		t.Fatalf("%d calls, bob has %d", calls.Load(), balance(t, sys, "bob"))
	}
	if _, err := pay.Start(t.Context(), 31, dbos.ID("p1")); !errors.Is(err, abi.Exists) {
		t.Fatalf("Start with another input: %v", err)
	}
	info, err := sys.Lookup(t.Context(), "p1")
	if err != nil || info.State != dbos.Succeeded || string(info.Output) != `"30 by p1/2"` {
		t.Fatalf("Lookup = %+v, %v", info, err)
	}
	steps, err := sys.Journal(t.Context(), "p1")
	if err != nil || len(steps) != 2 || steps[0].Kind != "transaction" || steps[1].Name != "tell" {
		t.Fatalf("Journal = %+v, %v", steps, err)
	}
}

// A run whose process goes away at each point in turn must go on after it.
func TestRunContinuesAfterClose(t *testing.T) {
	dir := t.TempDir()
	entered, release := make(chan struct{}, 1), make(chan struct{})
	var calls atomic.Int32
	define := func(sys *dbos.System) *dbos.Definition[int, int] {
		return dbos.Workflow(sys, "slow", func(ctx dbos.Context, n int) (int, error) {
			a, err := dbos.Transaction(ctx, "move", func(tx *dbos.Tx) (int, error) { return n, transfer(tx, "ada", "bob", n) })
			if err != nil {
				return 0, err
			}
			return dbos.Step(ctx, "wait", func(ctx context.Context) (int, error) {
				calls.Add(1)
				entered <- struct{}{}
				select {
				case <-release:
					return a * 2, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
		})
	}
	sys := open(t, dir)
	run, err := define(sys).Start(t.Context(), 7, dbos.ID("r"))
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	close(release)

	sys = open(t, dir)
	define(sys)
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := dbos.Find[int](sys, run.ID()).Result(t.Context())
	if err != nil || got != 14 || calls.Load() != 2 || balance(t, sys, "bob") != 7 {
		t.Fatalf("Result = %d, %v; %d calls; bob has %d", got, err, calls.Load(), balance(t, sys, "bob"))
	}
}

var errBroke = errors.New("broke")

type stockError struct {
	Item string
	Left int
}

func (e *stockError) Error() string { return fmt.Sprintf("only %d of %s", e.Left, e.Item) }

func TestErrorsSurvive(t *testing.T) {
	dir := t.TempDir()
	define := func(sys *dbos.System) *dbos.Definition[string, int] {
		for name, target := range map[string]error{"broke": errBroke, "stock": &stockError{}} {
			if err := dbos.RegisterError(sys, name, target); err != nil {
				t.Fatal(err)
			}
		}
		return dbos.Workflow(sys, "fail", func(ctx dbos.Context, how string) (int, error) {
			return dbos.Step(ctx, "do", func(context.Context) (int, error) {
				return 0, fmt.Errorf("wrapped: %w", errors.Join(&stockError{"tea", 3}, errBroke, io.ErrUnexpectedEOF,
					abi.Errorf("x.y", abi.NotFound, "thing", "gone")))
			})
		})
	}
	check := func(err error) {
		t.Helper()
		stock, ok := errors.AsType[*stockError](err)
		if !ok || stock.Item != "tea" || stock.Left != 3 {
			t.Errorf("As stockError = %v, %v", stock, ok)
		}
		for _, target := range []error{errBroke, io.ErrUnexpectedEOF, abi.NotFound} {
			if !errors.Is(err, target) {
				t.Errorf("Is %v = false", target)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, abi.Exists) {
			t.Error("Is finds what is not there")
		}
		if !strings.HasPrefix(err.Error(), "wrapped: only 3 of tea") {
			t.Errorf("text %q", err)
		}
	}
	sys := open(t, dir)
	run, err := define(sys).Start(t.Context(), "x", dbos.ID("f"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = run.Result(t.Context())
	check(err)
	sys.Close()
	sys = open(t, dir)
	define(sys)
	_, err = dbos.Find[int](sys, "f").Result(t.Context())
	check(err)
}

func TestRetryAndTimeout(t *testing.T) {
	sys := open(t, t.TempDir())
	var calls atomic.Int32
	flaky := dbos.Workflow(sys, "flaky", func(ctx dbos.Context, _ int) (int, error) {
		n, err := dbos.Step(ctx, "third time", func(context.Context) (int, error) {
			if n := int(calls.Add(1)); n == 3 {
				return n, nil
			}
			return 0, errBroke
		}, dbos.Retry{Attempts: 5, Backoff: time.Millisecond})
		if err != nil {
			return 0, err
		}
		_, err = dbos.Step(ctx, "too slow", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, dbos.Timeout(5*time.Millisecond))
		if !errors.Is(err, context.DeadlineExceeded) {
			return 0, fmt.Errorf("timeout gave %w", err)
		}
		_, err = dbos.Step(ctx, "no use", func(context.Context) (int, error) { calls.Add(1); return 0, errBroke },
			dbos.Retry{Attempts: 5, If: func(err error) bool { return false }})
		if err == nil {
			return 0, errors.New("no use succeeded")
		}
		return n, nil
	})
	run, err := flaky.Start(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := run.Result(t.Context()); n != 3 || err != nil || calls.Load() != 4 {
		t.Fatalf("Result = %d, %v after %d calls", n, err, calls.Load())
	}
	steps, err := sys.Journal(t.Context(), run.ID())
	if err != nil || steps[0].Attempts != 3 || steps[1].Attempts != 1 {
		t.Fatalf("Journal = %+v, %v", steps, err)
	}
}

func TestSleepParksAndWakes(t *testing.T) {
	sys := open(t, t.TempDir())
	nap := dbos.Workflow(sys, "nap", func(ctx dbos.Context, d time.Duration) (int, error) {
		return 1, dbos.Sleep(ctx, d)
	})
	long, err := nap.Start(t.Context(), 1300*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	short, err := nap.Start(t.Context(), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	for _, run := range []*dbos.Run[int]{short, long} {
		if _, err := run.Result(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(begin); d < time.Second {
		t.Fatalf("slept only %v", d)
	}
	info, err := sys.Lookup(t.Context(), long.ID())
	if err != nil || info.Attempt != 2 {
		t.Fatalf("a parked run has attempt %d, %v; want 2", info.Attempt, err)
	}
}

func TestChildrenAndEvents(t *testing.T) {
	sys := open(t, t.TempDir(), dbos.MaxRuns(1)) // the parent must make room for its children
	child := dbos.Workflow(sys, "child", func(ctx dbos.Context, n int) (int, error) {
		return n * n, dbos.SetEvent(ctx, "seen", n)
	})
	parent := dbos.Workflow(sys, "parent", func(ctx dbos.Context, n int) (int, error) {
		var runs []*dbos.Run[int]
		for i := range n {
			run, err := child.Start(ctx, i)
			if err != nil {
				return 0, err
			}
			runs = append(runs, run)
		}
		sum := 0
		for _, run := range runs {
			got, err := run.Result(ctx)
			if err != nil {
				return 0, err
			}
			seen, err := dbos.GetEvent[int](ctx, ctx.System(), run.ID(), "seen")
			if err != nil {
				return 0, err
			}
			sum += got + seen
		}
		return sum, nil
	})
	run, err := parent.Start(t.Context(), 4, dbos.ID("p"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := run.Result(t.Context()); got != 14+6 || err != nil {
		t.Fatalf("Result = %d, %v", got, err)
	}
	runs, err := sys.Runs(t.Context(), dbos.Filter{Parent: "p"})
	if err != nil || len(runs) != 4 || runs[3].ID != "p/1" {
		t.Fatalf("children = %+v, %v", runs, err)
	}
	if _, err := dbos.GetEvent[int](t.Context(), sys, "p/1", "other"); !errors.Is(err, abi.NotFound) {
		t.Fatalf("event that was never set: %v", err)
	}
}

func TestCancelReachesTheStepAndResumeContinues(t *testing.T) {
	sys := open(t, t.TempDir())
	entered, stopped := make(chan struct{}, 2), make(chan struct{}, 2)
	var free atomic.Bool
	stuck := dbos.Workflow(sys, "stuck", func(ctx dbos.Context, _ int) (int, error) {
		return dbos.Step(ctx, "hang", func(ctx context.Context) (int, error) {
			entered <- struct{}{}
			if free.Load() {
				return 5, nil
			}
			<-ctx.Done()
			stopped <- struct{}{}
			return 0, ctx.Err()
		})
	})
	boss := dbos.Workflow(sys, "boss", func(ctx dbos.Context, _ int) (int, error) {
		run, err := stuck.Start(ctx, 0)
		if err != nil {
			return 0, err
		}
		return run.Result(ctx)
	})
	run, err := boss.Start(t.Context(), 0, dbos.ID("b"))
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := sys.Cancel(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	<-stopped
	for _, id := range []string{"b", "b/1"} {
		if _, err := dbos.Find[int](sys, id).Result(t.Context()); !errors.Is(err, abi.Canceled) {
			t.Fatalf("Result of %s = %v", id, err)
		}
	}
	if err := sys.Cancel(t.Context(), "b"); err != nil {
		t.Fatalf("second Cancel: %v", err)
	}
	free.Store(true)
	for _, id := range []string{"b/1", "b"} {
		if err := sys.Resume(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := run.Result(t.Context()); got != 5 || err != nil {
		t.Fatalf("resumed Result = %d, %v", got, err)
	}
	if err := sys.Cancel(t.Context(), "b"); !errors.Is(err, abi.Conflict) {
		t.Fatalf("Cancel of a finished run: %v", err)
	}
	if err := sys.Cancel(t.Context(), "none"); !errors.Is(err, abi.NotFound) {
		t.Fatalf("Cancel of no run: %v", err)
	}
}

func TestQueueKeepsOrderAndLimits(t *testing.T) {
	for _, limit := range []int{1, 3} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) { testQueue(t, limit) })
	}
}

func testQueue(t *testing.T, limit int) {
	sys := open(t, t.TempDir())
	q, err := dbos.NewQueue(t.Context(), sys, "q", dbos.Concurrency(limit))
	if err != nil {
		t.Fatal(err)
	}
	var now, most atomic.Int32
	order := make(chan int, 100)
	job := dbos.Workflow(sys, "job", func(ctx dbos.Context, n int) (int, error) {
		return dbos.Step(ctx, "work", func(context.Context) (int, error) {
			if k := now.Add(1); k > most.Load() {
				most.Store(k)
			}
			order <- n
			now.Add(-1)
			return n, nil
		})
	})
	var runs []*dbos.Run[int]
	for i := range 20 {
		run, err := job.Start(t.Context(), i, dbos.OnQueue(q))
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	for i, run := range runs {
		if got, err := run.Result(t.Context()); got != i || err != nil {
			t.Fatalf("Result = %d, %v", got, err)
		}
	}
	if int(most.Load()) > limit {
		t.Fatalf("%d ran at once", most.Load())
	}
	for i := range 20 {
		if got := <-order; limit == 1 && got != i {
			t.Fatalf("job %d ran as number %d", got, i)
		}
	}
	if _, err := job.Start(t.Context(), 1, dbos.OnQueueNamed("none")); !errors.Is(err, abi.NotFound) {
		t.Fatalf("unknown queue: %v", err)
	}
}

func TestDivergenceStopsTheRun(t *testing.T) {
	dir := t.TempDir()
	entered := make(chan struct{}, 1)
	first := func(ctx dbos.Context, n int) (int, error) {
		if _, err := dbos.Step(ctx, "one", func(context.Context) (int, error) { return 1, nil }, dbos.Args(n)); err != nil {
			return 0, err
		}
		return dbos.Step(ctx, "two", func(ctx context.Context) (int, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return 0, ctx.Err()
		})
	}
	versions := map[string]func(dbos.Context, int) (int, error){
		`records step "one", the program now does step "uno"`: func(ctx dbos.Context, n int) (int, error) {
			return dbos.Step(ctx, "uno", func(context.Context) (int, error) { return 1, nil }, dbos.Args(n))
		},
		"with arguments of digest": func(ctx dbos.Context, n int) (int, error) {
			return dbos.Step(ctx, "one", func(context.Context) (int, error) { return 1, nil }, dbos.Args(n+1))
		},
		"the program now ends": func(ctx dbos.Context, n int) (int, error) { return 0, nil },
		`now does transaction "one"`: func(ctx dbos.Context, n int) (int, error) {
			return dbos.Transaction(ctx, "one", func(*dbos.Tx) (int, error) { return 1, nil }, dbos.Args(n))
		},
	}
	for want, changed := range versions {
		sys := open(t, dir)
		run, err := dbos.Workflow(sys, "w", first).Start(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		<-entered
		sys.Close()
		sys = open(t, dir)
		dbos.Workflow(sys, "w", changed)
		if err := sys.Launch(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = dbos.Find[int](sys, run.ID()).Result(t.Context())
		if !errors.Is(err, abi.Diverged) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %s", err, want)
		}
		sys.Close()
		// With the old code back, the run can be resumed.
		sys = open(t, dir)
		dbos.Workflow(sys, "w", func(ctx dbos.Context, n int) (int, error) {
			if _, err := dbos.Step(ctx, "one", func(context.Context) (int, error) { return 99, nil }, dbos.Args(n)); err != nil {
				return 0, err
			}
			return dbos.Step(ctx, "two", func(ctx context.Context) (int, error) { return 2, nil })
		})
		if err := sys.Resume(t.Context(), run.ID()); err != nil {
			t.Fatal(err)
		}
		if err := sys.Launch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := dbos.Find[int](sys, run.ID()).Result(t.Context()); got != 2 || err != nil {
			t.Errorf("resumed: %d, %v", got, err)
		}
		sys.Close()
	}
}

func TestPanicFailsTheRun(t *testing.T) {
	sys := open(t, t.TempDir())
	boom := dbos.Workflow(sys, "boom", func(ctx dbos.Context, where string) (int, error) {
		switch where {
		case "workflow":
			panic("ouch")
		case "step":
			return dbos.Step(ctx, "s", func(context.Context) (int, error) { panic("ouch") })
		}
		return dbos.Transaction(ctx, "t", func(tx *dbos.Tx) (int, error) {
			if err := transfer(tx, "ada", "bob", 1); err != nil {
				return 0, err
			}
			panic("ouch")
		})
	})
	for _, where := range []string{"workflow", "step", "transaction"} {
		run, err := boom.Start(t.Context(), where)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Result(t.Context()); !errors.Is(err, abi.Panicked) || !strings.Contains(err.Error(), "ouch") {
			t.Errorf("%s: %v", where, err)
		}
	}
	if balance(t, sys, "bob") != 0 {
		t.Error("the transaction that panicked was committed")
	}
}

func TestTransactionErrorRollsBackAndIsRecorded(t *testing.T) {
	sys := open(t, t.TempDir())
	over := dbos.Workflow(sys, "over", func(ctx dbos.Context, n int) (string, error) {
		_, err := dbos.Transaction(ctx, "move", func(tx *dbos.Tx) (int, error) {
			// The second update breaks the check after the first one was done.
			if _, err := tx.Exec("UPDATE account SET balance = balance + $1 WHERE name = 'bob'", n); err != nil {
				return 0, err
			}
			_, err := tx.Exec("UPDATE account SET balance = balance - $1 WHERE name = 'ada'", n)
			return 0, err
		})
		return fmt.Sprint(abi.KindOf(err)), nil
	})
	run, err := over.Start(t.Context(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := run.Result(t.Context()); err != nil || got != abi.Invalid.Error() {
		t.Fatalf("Result = %q, %v", got, err)
	}
	if b := balance(t, sys, "bob"); b != 0 {
		t.Fatalf("bob has %d", b)
	}
}

func TestStartIn(t *testing.T) {
	sys := open(t, t.TempDir())
	echo := dbos.Workflow(sys, "echo", func(ctx dbos.Context, s string) (string, error) { return s, nil })
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	var run *dbos.Run[string]
	start := func(fail error) error {
		return sys.Update(t.Context(), "test", func(tx *dbos.Tx) (err error) {
			if run, err = echo.StartIn(tx, "hi"); err != nil {
				return err
			}
			return fail
		})
	}
	if err := start(errBroke); !errors.Is(err, errBroke) {
		t.Fatal(err)
	}
	if _, err := sys.Lookup(t.Context(), run.ID()); !errors.Is(err, abi.NotFound) {
		t.Fatalf("a run of a transaction that was rolled back: %v", err)
	}
	if err := start(nil); err != nil {
		t.Fatal(err)
	}
	if got, err := run.Result(t.Context()); got != "hi" || err != nil {
		t.Fatalf("Result = %q, %v", got, err)
	}
}
