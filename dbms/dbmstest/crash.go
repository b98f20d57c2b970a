package dbmstest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

const crashWriters = 4

// examineCrash kills a process at random instants while it commits. Opened
// again, the database has everything that was acknowledged, nothing half, and
// a history that is exactly the tables.
func examineCrash(t *testing.T, e Engine) {
	for _, durability := range []dbms.Durability{dbms.Sync, dbms.Async} {
		t.Run(durability.String(), func(t *testing.T) {
			c := &crash{t: t, engine: e, options: dbms.Options{Durability: durability}, dir: t.TempDir(), acked: map[string]dbms.LSN{}}
			c.create()
			random := rand.New(rand.NewPCG(5, uint64(durability)))
			for round := range kills(e) {
				// At times at once, so that recovery itself is killed.
				c.kill(round, max(0, random.IntN(120)-10))
				c.check()
				if t.Failed() {
					return
				}
			}
			if len(c.acked) == 0 {
				t.Error("no transaction was acknowledged")
			}
		})
	}
}

// kills is how often the process is killed. To a server that goes on, a
// client's death is one of a few things, whatever the instant.
func kills(e Engine) int {
	if e.Directory {
		return rounds(16)
	}
	return rounds(6)
}

// A crash is a database that is killed again and again.
type crash struct {
	t       *testing.T
	engine  Engine
	options dbms.Options
	dir     string
	acked   map[string]dbms.LSN // transactions whose Update had returned
}

func (c *crash) create() {
	d := reopen(c.t, c.engine, c.dir, c.options)
	defer d.close()
	d.exec("CREATE TABLE left_half (id text PRIMARY KEY NOT NULL, filler text)")
	d.exec("CREATE TABLE right_half (id text NOT NULL, n bigint NOT NULL, PRIMARY KEY (id, n))")
	d.exec("CREATE TABLE counter (writer bigint PRIMARY KEY NOT NULL, n bigint NOT NULL)")
	for w := range crashWriters {
		d.exec("INSERT INTO counter VALUES ($1, 0)", w)
	}
}

// kill starts the child and kills it when it has acknowledged so many
// transactions.
func (c *crash) kill(round, after int) {
	cmd, err := childCommand(c.engine, "crash", c.dir, strconv.Itoa(round), c.options.Durability.String())
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == after {
			cmd.Process.Kill()
		}
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // a line without its end was cut by the kill
		}
		var id string
		var lsn dbms.LSN
		if _, scanErr := fmt.Sscan(line, &id, &lsn); err != nil || scanErr != nil {
			c.t.Fatalf("child said %q, error %v", line, err)
		}
		c.acked[id] = lsn
	}
	err = cmd.Wait()
	if exit, ok := err.(*exec.ExitError); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		c.t.Fatalf("the child ended by itself: %v", err)
	}
}

// check opens the database and looks at what is there.
func (c *crash) check() {
	c.t.Helper()
	d := reopen(c.t, c.engine, c.dir, c.options)
	defer d.close()
	r := newReplica(c.engine)
	committed := map[string]dbms.LSN{}
	for _, commit := range d.changes(0) {
		if err := r.apply(commit); err != nil {
			c.t.Error(err)
		}
		if id := commit.Call.Execution; id != "" {
			committed[id] = commit.LSN
			if n := len(commit.Changes); n != 5 {
				c.t.Errorf("transaction %s has %d changes, want 5", id, n)
			}
		}
	}
	d.compare(r)
	for id, lsn := range c.acked {
		if committed[id] != lsn {
			c.t.Errorf("transaction %s was acknowledged as commit %d; Changes has it as %d", id, lsn, committed[id])
		}
	}
	n := int64(len(committed))
	d.want(n, "SELECT count(*) FROM left_half")
	d.want(3*n, "SELECT count(*) FROM right_half")
	d.want(n, "SELECT count(*) FROM left_half WHERE 3 = (SELECT count(*) FROM right_half WHERE right_half.id = left_half.id)")
	d.want(n, "SELECT sum(n) FROM counter")
}

// crash is the child's part: it commits from several goroutines and says what
// was acknowledged, until it is killed.
func (c *child) crash(e Engine) {
	dir, round := c.args[0], c.args[1]
	o := dbms.Options{}
	if c.args[2] == dbms.Async.String() {
		o.Durability = dbms.Async
	}
	d := reopen(c, e, dir, o)
	if err := d.Migrate(context.Background(), crashSteps(round)); err != nil {
		c.Fatalf("migrate: %v", err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for w := range crashWriters {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s.%d.%d", round, w, i)
				call := abi.Call{Procedure: "examiner.crash", Execution: id, Step: 1}
				lsn, err := d.Update(context.Background(), call, crashWork(id, w))
				if err != nil {
					c.Fatalf("%s: %v", id, err)
				}
				mu.Lock()
				fmt.Fprintln(c.out, id, int64(lsn))
				c.out.Flush()
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// crashSteps is one migration more each round, so that definitions too are
// made and killed.
func crashSteps(round string) dbms.Migrations {
	n, _ := strconv.Atoi(round)
	var scripts []string
	for i := range n + 1 {
		scripts = append(scripts, fmt.Sprintf("CREATE TABLE made%d (v bigint); INSERT INTO made%d VALUES (1); ALTER TABLE made%d ADD COLUMN w bigint", i, i, i))
	}
	return steps("app:crash", true, scripts...)
}

// crashWork writes five rows in three tables.
func crashWork(id string, writer int) func(dbms.Tx) error {
	filler := strings.Repeat("filler", 20+len(id)*10)
	return func(tx dbms.Tx) error {
		if err := run("INSERT INTO left_half VALUES ($1, $2)", id, filler)(tx); err != nil {
			return err
		}
		if err := run("UPDATE counter SET n = n + 1 WHERE writer = $1", writer)(tx); err != nil {
			return err
		}
		return run("INSERT INTO right_half VALUES ($1, 1), ($1, 2), ($1, 3)", id)(tx)
	}
}
