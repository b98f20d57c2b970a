package dbos_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/dbms"
)

// crashEnv makes the test binary be the process that is killed.
const crashEnv = "DBOS_CRASH_DIR"

func TestMain(m *testing.M) {
	play := map[string]func(string) error{crashEnv: crashVictim, nodeEnv: nodeProcess}
	for env, part := range play {
		if argument := os.Getenv(env); argument != "" {
			if err := part(argument); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			return
		}
	}
	// Warehouses that nobody gives a directory go there.
	cache, err := os.MkdirTemp("", "dbos-cache-")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Setenv("XDG_CACHE_HOME", cache)
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}

var crashTables = fstest.MapFS{
	"0001_effect.sql": {Data: []byte(`CREATE TABLE effect (run TEXT NOT NULL, step TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (run, step))`)},
}

// defineJob registers the workflow of the crash test: transactions that count
// how often they happened, an external step that writes its idempotency key
// into a file, a durable sleep, a child, and an event.
func defineJob(sys *dbos.System, ledger string) *dbos.Definition[int, int] {
	count := func(ctx dbos.Context, step string) error {
		_, err := dbos.Transaction(ctx, step, func(tx *dbos.Tx) (int64, error) {
			return tx.Exec("INSERT INTO effect VALUES ($1, $2, 1) ON CONFLICT (run, step) DO UPDATE SET times = effect.times + 1", ctx.RunID(), step)
		}, dbos.Args(step))
		return err
	}
	leaf := dbos.Workflow(sys, "leaf", func(ctx dbos.Context, n int) (int, error) { return n + 1, count(ctx, "leaf") })
	return dbos.Workflow(sys, "job", func(ctx dbos.Context, n int) (int, error) {
		if err := count(ctx, "first"); err != nil {
			return 0, err
		}
		_, err := dbos.Step(ctx, "external", func(ctx context.Context) (bool, error) {
			f, err := os.OpenFile(ledger, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return false, err
			}
			defer f.Close()
			_, err = fmt.Fprintln(f, dbos.IdempotencyKey(ctx))
			return true, err
		})
		if err != nil {
			return 0, err
		}
		if err := dbos.Sleep(ctx, time.Duration(n%4)*400*time.Millisecond); err != nil {
			return 0, err
		}
		child, err := leaf.Start(ctx, n)
		if err != nil {
			return 0, err
		}
		got, err := child.Result(ctx)
		if err != nil {
			return 0, err
		}
		if err := dbos.SetEvent(ctx, "child", got); err != nil {
			return 0, err
		}
		return got, count(ctx, "last")
	})
}

// crashVictim starts runs as fast as it can, and says so on standard output,
// until it is killed.
func crashVictim(dir string) error {
	ctx := context.Background()
	durability := dbms.Sync
	if rand.N(2) == 0 {
		durability = dbms.Async
	}
	sys, err := dbos.Open(ctx, dir, dbos.Migrations(crashTables), dbos.Durability(durability), dbos.MaxRuns(16))
	if err != nil {
		return err
	}
	job := defineJob(sys, filepath.Join(dir, "ledger"))
	if err := sys.Launch(ctx); err != nil {
		return err
	}
	fmt.Println("open")
	var out sync.Mutex
	var callers sync.WaitGroup
	for caller := range 4 {
		callers.Go(func() {
			for i := range 40 {
				id := fmt.Sprintf("job-%d-%d-%d", os.Getpid(), caller, i)
				if _, err := job.Start(ctx, i, dbos.ID(id)); err != nil {
					panic(err)
				}
				out.Lock()
				fmt.Println("started", id, i)
				out.Unlock()
			}
		})
	}
	callers.Wait()
	select {}
}

// TestCrash kills a process that runs workflows at random instants, many
// times, and then checks that every run it has acknowledged has finished, and
// that every transaction happened once.
func TestCrash(t *testing.T) {
	kills := 25
	if testing.Short() {
		kills = 5
	}
	dir := t.TempDir()
	started := map[string]int{}
	for range kills {
		crashOnce(t, dir, started)
	}
	sys, err := dbos.Open(t.Context(), dir, dbos.Migrations(crashTables), dbos.Durability(dbms.Async))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	defineJob(sys, filepath.Join(dir, "ledger"))
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, n := range started {
		got, err := dbos.Find[int](sys, id).Result(t.Context())
		if err != nil || got != n+1 {
			t.Errorf("run %s = %d, %v; want %d", id, got, err, n+1)
		}
	}
	// A run that was recorded but not acknowledged counts too.
	for _, run := range liveRuns(t, sys) {
		if _, err := dbos.Find[int](sys, run).Result(t.Context()); err != nil {
			t.Errorf("run %s: %v", run, err)
		}
	}
	checkEffects(t, sys, filepath.Join(dir, "ledger"), len(started))
	if len(started) < kills {
		t.Errorf("only %d runs were acknowledged in %d rounds; the test has shown nothing", len(started), kills)
	}
	t.Logf("%d kills, %d runs acknowledged", kills, len(started))
}

// crashOnce runs the victim for a random while and adds what it acknowledged.
func crashOnce(t *testing.T, dir string, started map[string]int) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), crashEnv+"="+dir)
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	// Most victims die some time after they have opened, some while opening.
	kill := time.NewTimer(time.Hour)
	defer kill.Stop()
	opening := rand.N(5) == 0
	if opening {
		kill.Reset(time.Duration(rand.N(200)) * time.Millisecond)
	}
	died := make(chan struct{})
	defer close(died)
	go func() {
		select {
		case <-kill.C:
			victim.Process.Kill()
		case <-died:
		}
	}()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var id string
		var n int
		switch line := lines.Text(); {
		case line == "open" && !opening:
			kill.Reset(time.Duration(rand.N(400)) * time.Millisecond)
		case strings.HasPrefix(line, "error"):
			t.Fatal(line)
		default:
			if _, err := fmt.Sscanf(line, "started %s %d", &id, &n); err == nil {
				started[id] = n
			}
		}
	}
	var exit *exec.ExitError
	if err := victim.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the victim ended by itself: %v", err)
	}
}

func liveRuns(t *testing.T, sys *dbos.System) []string {
	t.Helper()
	runs, err := sys.Runs(t.Context(), dbos.Filter{Live: true, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, run := range runs {
		ids = append(ids, run.ID)
	}
	return ids
}

// checkEffects compares the counters, the journals and the ledger.
func checkEffects(t *testing.T, sys *dbos.System, ledger string, acknowledged int) {
	t.Helper()
	var runs, effects, wrong, short int
	err := sys.View(t.Context(), func(tx *dbos.Tx) error {
		return errors.Join(
			tx.QueryRow("SELECT count(*) FROM sched_task WHERE name = 'job' AND state = 'succeeded'").Scan(&runs),
			tx.QueryRow("SELECT count(*), coalesce(sum(CASE WHEN times <> 1 THEN 1 ELSE 0 END), 0) FROM effect").Scan(&effects, &wrong),
			tx.QueryRow(`SELECT count(*) FROM sched_task AS t WHERE name = 'job' AND 7 <>
				(SELECT count(*) FROM wf_step AS s WHERE s.execution = t.id)`).Scan(&short))
	})
	if err != nil {
		t.Fatal(err)
	}
	if runs < acknowledged || effects != 3*runs || wrong != 0 || short != 0 {
		t.Errorf("%d runs succeeded of %d acknowledged; %d effects, %d of them not exactly once; %d journals incomplete",
			runs, acknowledged, effects, wrong, short)
	}
	text, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]int{}
	for key := range strings.FieldsSeq(string(text)) {
		keys[key]++
	}
	if len(keys) != runs {
		t.Errorf("%d idempotency keys for %d runs", len(keys), runs)
	}
}
