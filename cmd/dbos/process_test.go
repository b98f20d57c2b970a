package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dbos-go/dbos/client"
)

// Tests with several processes at once, which scripts cannot tell apart.

// A place is a directory in which programs run; its data directory is "data".
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T) place { return place{t, t.TempDir()} }

func (p place) data() string { return filepath.Join(p.dir, "data") }

// command returns a program of TestMain. It is killed when the test ends.
func (p place) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.t.Context(), name, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "DBOS_DATA="+p.data())
	return cmd
}

// dbos runs a command that must succeed and returns what it prints.
func (p place) dbos(args ...string) string {
	p.t.Helper()
	cmd := p.command("dbos", args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatalf("dbos %v: %v\n%s", args, err, errOut.String())
	}
	return string(out)
}

// shop starts the application and returns when it answers, with a function
// that kills it.
func (p place) shop() (kill func()) {
	p.t.Helper()
	cmd := p.command("shop")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.until("the shop answers", func() bool {
		node, err := client.Dial(p.t.Context(), p.data())
		if err == nil {
			node.Close()
		}
		return err == nil
	})
	return func() {
		p.t.Helper()
		if err := cmd.Process.Kill(); err != nil {
			p.t.Fatal(err)
		}
		cmd.Wait() // the error is the kill
	}
}

// until looks at another process until something is so.
func (p place) until(what string, ok func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !ok() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			p.t.Fatalf("not so: %s", what)
		}
	}
}

// TestInterruptedWait presses Ctrl-C on a wait: the run goes on.
func TestInterruptedWait(t *testing.T) {
	p := newPlace(t)
	defer p.shop()()
	node, err := client.Dial(t.Context(), p.data())
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	for signal, code := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		id := signal.String()
		cmd := p.command("dbos", "start", "hang", "--id", id, "--wait")
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p.until("the run is recorded", func() bool {
			_, err := node.Get(t.Context(), id)
			return err == nil
		})
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		ended, ok := errors.AsType[*exec.ExitError](cmd.Wait())
		if !ok || ended.ExitCode() != code {
			t.Errorf("%v: got %v, want exit code %d", signal, ended, code)
		}
		if out.Len() > 0 || strings.Contains(errOut.String(), "dbos:") {
			t.Errorf("%v: it printed %q and %q", signal, out.String(), errOut.String())
		}
		res, err := node.Get(t.Context(), id)
		if err != nil || res.Run.FinishedAt != nil {
			t.Errorf("%v: the run is %v (%v)", signal, res.GetRun().GetState(), err)
		}
	}
}

// TestCommandsTogether runs commands at once on a directory that nobody owns.
func TestCommandsTogether(t *testing.T) {
	p := newPlace(t)
	p.shop()()
	p.dbos("sql", "--write", "insert into stock values ('hat', 0)")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			out, err := p.command("dbos", "sql", "--write", "update stock set n = n + 1").CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	all.Wait()
	if got := p.dbos("sql", "--json", "select n from stock"); got != "{\"n\":4}\n" {
		t.Errorf("got %s", got)
	}
}

// TestWatchOutlivesTheProgram follows a listing before a program runs, while
// it runs, and after it was killed and started again.
func TestWatchOutlivesTheProgram(t *testing.T) {
	p := newPlace(t)
	p.shop()()
	p.dbos("start", "hang", "--id", "a")
	cmd := p.command("dbos", "ps", "--watch", "--json")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	await := func(id, state string) {
		t.Helper()
		for lines.Scan() {
			var runs []runJSON
			if err := json.Unmarshal(lines.Bytes(), &runs); err != nil {
				t.Fatal(err)
			}
			if len(runs) > 0 && runs[0].ID == id && runs[0].State == state {
				return
			}
		}
		t.Fatalf("the watch ended before %s was %s", id, state)
	}
	await("a", "queued")
	kill := p.shop()
	await("a", "running")
	kill()
	defer p.shop()()
	p.dbos("start", "hang", "--id", "b")
	await("b", "running")
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ended, ok := errors.AsType[*exec.ExitError](cmd.Wait())
	if !ok || ended.ExitCode() != 130 {
		t.Errorf("got %v, want exit code 130", ended)
	}
}
