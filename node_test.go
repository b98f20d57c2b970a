package dbos_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// nodeEnv makes the test binary be a node of a system on PostgreSQL.
const nodeEnv = "DBOS_TEST_NODE"

// A nodeSpec is what a node is told.
type nodeSpec struct {
	Name   string
	URL    string
	Ledger string        // a file
	Lease  time.Duration // 0 for the default
	Load   bool          // start runs all the time
}

// nodeProcess is a node. It says what happens on standard output, and ends
// when its standard input does.
func nodeProcess(spec string) error {
	var n nodeSpec
	if err := json.Unmarshal([]byte(spec), &n); err != nil {
		return err
	}
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelInfo}))
	opts := []dbos.Option{dbos.Migrations(crashTables), dbos.MaxRuns(16), dbos.Logger(log)}
	if n.Lease > 0 {
		opts = append(opts, dbos.Lease(n.Lease))
	}
	sys, err := dbos.Open(ctx, n.URL, opts...)
	if err != nil {
		return err
	}
	job := defineJob(sys, n.Ledger)
	defineStuck(sys, n.Name)
	if err := sys.Launch(ctx); err != nil {
		return err
	}
	fmt.Println("open")
	ended := make(chan struct{})
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		close(ended)
	}()
	var callers sync.WaitGroup
	for caller := range 2 {
		if n.Load {
			callers.Go(func() { startJobs(ctx, job, fmt.Sprintf("job-%d-%d", os.Getpid(), caller), ended) })
		}
	}
	callers.Wait()
	<-ended
	return sys.Close()
}

// startJobs starts runs, and says so, until ended.
func startJobs(ctx context.Context, job *dbos.Definition[int, int], name string, ended chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		default:
		}
		id := fmt.Sprintf("%s-%d", name, i)
		run, err := job.Start(ctx, i, dbos.ID(id))
		if err != nil {
			fmt.Println("not started:", err)
			continue
		}
		fmt.Println("started", id, i)
		if i%8 == 7 { // so that there are not too many
			if _, err := run.Result(ctx); err != nil {
				fmt.Println("no result:", err)
			}
		}
	}
}

// defineStuck registers a workflow that waits in its step for ever on the
// first node that executes it, deaf to its context, and returns the node's
// name on any other.
func defineStuck(sys *dbos.System, node string) {
	dbos.Workflow(sys, "stuck", func(ctx dbos.Context, file string) (string, error) {
		return dbos.Step(ctx, "wait", func(context.Context) (string, error) {
			f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			fmt.Println("entered", ctx.RunID())
			if errors.Is(err, os.ErrExist) {
				return node, nil
			}
			if err != nil {
				return "", err
			}
			defer f.Close()
			for { // until the test removes the file
				if _, err := os.Stat(file + ".go"); err == nil {
					fmt.Println("released", ctx.RunID())
					return node, nil
				}
				<-time.After(10 * time.Millisecond)
			}
		})
	})
}

// lostLease is what a node says when it finds that it was taken for dead.
const lostLease = "silent for too long"

// A node is a process of the test binary.
type node struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin interface{ Close() error }
	lines chan string // everything that it says, closed at its end
	said  []string    // what has been read of it
}

func startNode(t *testing.T, spec nodeSpec) *node {
	t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, cmd: exec.Command(os.Args[0]), lines: make(chan string, 100_000)}
	n.cmd.Env = append(os.Environ(), nodeEnv+"="+string(text))
	n.cmd.Stderr = os.Stderr
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if n.stdin, err = n.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.cmd.Process.Signal(syscall.SIGCONT)
		n.kill()
	})
	go func() {
		defer close(n.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n.lines <- lines.Text()
		}
	}()
	return n
}

// await reads what the node says up to a line with a text.
func (n *node) await(text string) string {
	n.t.Helper()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for {
		select {
		case line, ok := <-n.lines:
			n.said = append(n.said, line)
			switch {
			case !ok || strings.HasPrefix(line, "error"):
				n.t.Fatalf("the node ended: %s", line)
			case strings.Contains(line, text):
				return line
			}
		case <-patience.C:
			n.t.Fatalf("the node never says %q", text)
		}
	}
}

// kill kills the node, and reads what else it has said.
func (n *node) kill() {
	n.cmd.Process.Kill()
	n.rest()
}

// rest reads what the node says until it ends.
func (n *node) rest() {
	for line := range n.lines {
		n.said = append(n.said, line)
	}
	_ = n.cmd.Wait() // killed, or not: the lines say it
}

func (n *node) signal(s syscall.Signal) {
	if err := n.cmd.Process.Signal(s); err != nil {
		n.t.Fatal(err)
	}
}

// cluster opens a client of a new system on PostgreSQL. Nodes are yet to come.
func cluster(t *testing.T) (*dbos.System, nodeSpec) {
	t.Helper()
	url := pgtest.Need(t).URL(pgtest.Schema(t))
	sys, err := dbos.Open(t.Context(), url, dbos.Migrations(crashTables))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close() })
	return sys, nodeSpec{URL: url, Ledger: filepath.Join(t.TempDir(), "ledger")}
}

// The work of a process that is killed goes on in another within five
// seconds, at default settings.
func TestTakeover(t *testing.T) {
	sys, spec := cluster(t)
	a, b := startNode(t, spec), startNode(t, spec)
	a.await("open")
	b.await("open")
	var took time.Duration
	for attempt := range 3 { // the machine may be busy with something else
		file := filepath.Join(t.TempDir(), "file")
		id, err := sys.StartNamed(t.Context(), "stuck", []byte(fmt.Sprintf("%q", file)), dbos.ID(fmt.Sprint("stuck", attempt)))
		if err != nil {
			t.Fatal(err)
		}
		victim, other := whoEntered(t, a, b)
		killed := time.Now()
		victim.kill()
		other.await("entered " + id)
		if _, err := sys.Outcome(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if took = time.Since(killed); took < 5*time.Second {
			return
		}
		a, b = other, startNode(t, spec)
		b.await("open")
	}
	t.Errorf("work was resumed %v after its process was killed", took)
}

// whoEntered waits until one of two nodes is in the step.
func whoEntered(t *testing.T, a, b *node) (first, other *node) {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		var line string
		var alive bool
		first, other = a, b
		select {
		case line, alive = <-a.lines:
		case line, alive = <-b.lines:
			first, other = b, a
		case <-patience:
			t.Fatal("nobody executes the run")
		}
		switch {
		case !alive || strings.HasPrefix(line, "error"):
			t.Fatalf("a node ended: %s", line)
		case strings.HasPrefix(line, "entered"):
			return first, other
		}
	}
}

// A process that is stopped past its lease, and continues, writes nothing for
// the runs that it lost: not even the step that it was in.
func TestZombieNodeWritesNothing(t *testing.T) {
	sys, spec := cluster(t)
	spec.Lease = time.Second
	spec.Name = "a"
	a := startNode(t, spec)
	a.await("open")
	spec.Name = "b"
	b := startNode(t, spec)
	b.await("open")
	file := filepath.Join(t.TempDir(), "file")
	id, err := sys.StartNamed(t.Context(), "stuck", []byte(fmt.Sprintf("%q", file)))
	if err != nil {
		t.Fatal(err)
	}
	zombie, other := whoEntered(t, a, b)
	zombie.signal(syscall.SIGSTOP)
	other.await("entered " + id)
	output, err := sys.Outcome(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	zombie.signal(syscall.SIGCONT)
	zombie.await("released " + id) // and now it tries to record
	info, err := sys.Lookup(t.Context(), id)
	if err != nil || info.Recoveries != 1 || info.Epoch != 2 {
		t.Fatalf("the run is %+v, %v", info, err)
	}
	// The zombie goes on as a new worker, and can still be used.
	zombie.await(lostLease)
	other.kill()
	next, err := sys.StartNamed(t.Context(), "stuck", []byte(fmt.Sprintf("%q", file)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sys.Outcome(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	steps, err := sys.Journal(t.Context(), id)
	if err != nil || len(steps) != 1 || string(steps[0].Output) != string(output) {
		t.Fatalf("the journal is %+v, %v; the outcome was %s", steps, err, output)
	}
}

// A queued run starts in another process because that is told, not because it
// looks: here nobody looks for an hour.
func TestStartElsewhereIsWokenUp(t *testing.T) {
	sys, spec := cluster(t)
	spec.Lease = 3 * time.Hour
	n := startNode(t, spec)
	n.await("open")
	for i := range 3 {
		id, err := sys.StartNamed(t.Context(), "leaf", []byte("1"), dbos.ID(fmt.Sprint("leaf", i)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := sys.Outcome(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
}

// Three nodes execute runs; now and then one is killed and started again, one is
// stopped past its lease and continued. Every run finishes, and every
// transaction happens once.
func TestNodesComeAndGo(t *testing.T) {
	sys, spec := cluster(t)
	spec.Lease, spec.Load = time.Second, true
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	var nodes, all []*node
	for i := range 3 {
		spec.Name = fmt.Sprint("n", i)
		nodes = append(nodes, startNode(t, spec))
	}
	all = append(all, nodes...)
	for _, n := range nodes {
		n.await("open") // from here on it has a lease to lose
	}
	for round := range rounds {
		victim := rand.N(len(nodes))
		nodes[victim].await("started")
		zombie := nodes[(victim+1)%len(nodes)]
		if round%2 == 0 {
			zombie.signal(syscall.SIGSTOP)
		}
		<-time.After(500*time.Millisecond + time.Duration(rand.N(500))*time.Millisecond)
		nodes[victim].kill()
		spec.Name = fmt.Sprint("n", len(nodes)+round)
		nodes[victim] = startNode(t, spec)
		all = append(all, nodes[victim])
		nodes[victim].await("open")
		if round%2 == 0 {
			awaitDead(t, sys, zombie)
			zombie.signal(syscall.SIGCONT)
			zombie.await(lostLease)
		}
	}
	for _, n := range nodes {
		n.stdin.Close() // no more runs are started; but somebody must finish them
	}
	var said []string
	for _, n := range all {
		n.rest()
		said = append(said, n.said...)
	}
	spec.Load = false
	last := startNode(t, spec)
	last.await("open")
	started := map[string]int{}
	lost := 0
	for _, line := range said {
		var id string
		var n int
		if _, err := fmt.Sscanf(line, "started %s %d", &id, &n); err == nil {
			started[id] = n
		}
		if strings.Contains(line, lostLease) {
			lost++
		}
		if strings.HasPrefix(line, "error") || strings.Contains(line, "no result") && !strings.Contains(line, "closed") && !strings.Contains(line, "closing") {
			t.Error(line)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for id, n := range started {
		got, err := dbos.Find[int](sys, id).Result(ctx)
		if err != nil || got != n+1 {
			t.Errorf("run %s = %d, %v; want %d", id, got, err, n+1)
		}
	}
	for _, run := range liveRuns(t, sys) {
		if _, err := dbos.Find[int](sys, run).Result(ctx); err != nil {
			t.Errorf("run %s: %v", run, err)
		}
	}
	checkEffects(t, sys, spec.Ledger, len(started))
	if len(started) < rounds || lost == 0 {
		t.Errorf("%d runs were started, %d leases lost; the test has shown nothing", len(started), lost)
	}
	t.Logf("%d runs, %d nodes killed, %d leases lost by nodes that lived on", len(started), rounds, lost)
}

// awaitDead waits until a stopped node is taken for dead: once more than it has
// heard so itself.
func awaitDead(t *testing.T, sys *dbos.System, n *node) {
	t.Helper()
	before := 0
	for _, line := range n.said {
		if strings.Contains(line, lostLease) {
			before++
		}
	}
	pid := n.cmd.Process.Pid
	patience := time.After(time.Minute)
	for look := time.NewTicker(50 * time.Millisecond); ; {
		dead := 0
		err := sys.View(t.Context(), func(tx *dbos.Tx) error {
			return tx.QueryRow("SELECT count(*) FROM sched_worker WHERE lease_until = 0 AND id LIKE $1", fmt.Sprintf("%%/%d/%%", pid)).Scan(&dead)
		})
		if err != nil {
			t.Fatal(err)
		}
		if dead > before {
			return
		}
		select {
		case <-look.C:
		case <-patience:
			t.Fatalf("process %d, which is stopped, is not taken for dead", pid)
		}
	}
}

// Who cancels a run reaches its step on another node.
func TestCancelReachesAnotherNode(t *testing.T) {
	url := pgtest.Need(t).URL(pgtest.Schema(t))
	var systems []*dbos.System
	for range 2 {
		sys, err := dbos.Open(t.Context(), url, dbos.Lease(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { sys.Close() })
		systems = append(systems, sys)
	}
	entered, ended := make(chan struct{}), make(chan struct{})
	wait := dbos.Workflow(systems[0], "wait", func(ctx dbos.Context, _ int) (int, error) {
		return dbos.Step(ctx, "wait", func(ctx context.Context) (int, error) {
			close(entered)
			<-ctx.Done()
			close(ended)
			return 0, ctx.Err()
		})
	})
	run, err := wait.Start(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	info, err := systems[1].Lookup(t.Context(), run.ID())
	if err != nil || info.State != dbos.Running {
		t.Fatalf("another node sees %+v, %v", info, err)
	}
	if err := systems[1].Cancel(t.Context(), run.ID()); err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := run.Result(t.Context()); !errors.Is(err, abi.Canceled) {
		t.Fatalf("Result = %v", err)
	}
}
