package dbmstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// diskSize is the size of the small disk.
const diskSize = "24m"

// examineDisk fills the disk under an engine whose data are in a directory.
func examineDisk(t *testing.T, e Engine) {
	if !e.Directory {
		return // nothing on this machine's disk
	}
	t.Run("full", func(t *testing.T) { runFullDisk(t, e) })
	t.Run("file limit", func(t *testing.T) {
		cmd, err := childCommand(e, "limit", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		finish(t, cmd)
	})
}

// exitLacks is the exit code of a child that this machine does not let do its
// part.
const exitLacks = 77

// runFullDisk runs the child that has a small disk of its own.
func runFullDisk(t *testing.T, e Engine) {
	const remedy = "run the test as root, or allow user namespaces"
	cmd, err := childCommand(e, "full", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := isolate(cmd); err != nil {
		lacking(t, err.Error(), remedy)
	}
	var said strings.Builder
	cmd.Stderr = &said
	err = cmd.Run()
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
	case exited && exit.ExitCode() == exitLacks, errors.Is(err, syscall.EPERM):
		lacking(t, fmt.Sprintf("no small disk can be mounted: %v %s", err, said.String()), remedy)
	default:
		t.Errorf("%v\n%s", err, said.String())
	}
}

// finish runs a child to its end.
func finish(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}

// fullDisk is the child's part on a small disk. A ballast takes most of it,
// and is what an operator then removes.
func (c *child) fullDisk(e Engine) {
	mount := c.args[0]
	if err := mountSmallDisk(mount); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitLacks)
	}
	ballast := filepath.Join(mount, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 16<<20), 0o600); err != nil {
		c.Fatalf("%v", err)
	}
	c.starve(e, filepath.Join(mount, "data"), abi.Exhausted, func() {}, func() {
		if err := os.Remove(ballast); err != nil {
			c.Fatalf("%v", err)
		}
	})
}

// fileLimit is the child's part when no file may grow beyond a size: writes
// fail half-way.
func (c *child) fileLimit(e Engine) {
	const limit = 3 << 20
	signal.Ignore(syscall.SIGXFSZ) // a write is then an error, not the end
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		c.Fatalf("%v", err)
	}
	set := func(cur uint64) func() {
		return func() {
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: cur, Max: old.Max}); err != nil {
				c.Fatalf("%v", err)
			}
		}
	}
	c.starve(e, c.args[0], abi.Other, set(limit), set(old.Cur))
}

// starve writes until the disk takes no more. kind is the error's; Other
// stands for any that is no commit.
func (c *child) starve(e Engine, dir string, kind abi.Kind, begin, relieve func()) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		c.Fatalf("%v", err)
	}
	d := reopen(c, e, dir, dbms.Options{})
	createBoth(d)
	d.exec("CREATE TABLE bulk (id bigint NOT NULL, filler text)")
	d.update(bothHalves(0))
	begin()
	filled, failures := c.fill(d, kind)
	c.checkStarved(d, e, filled)
	if failures == 0 {
		c.Fatalf("the disk was never full")
	}
	relieve()
	// A database that is not sure of its disk may ask to be opened again.
	if _, err := d.try("UPDATE total SET n = n"); err != nil {
		c.Errorf("an update after there is space again: %v", err)
	}
	d.exec("INSERT INTO bulk VALUES ($1, 'after')", filled)
	c.checkStarved(d, e, filled+1)
	d.close()
	d = reopen(c, e, dir, dbms.Options{})
	c.checkStarved(d, e, filled+1)
	d.close()
}

// fill inserts rows until inserting has failed a few times, and returns how
// many there are and how often it failed.
func (c *child) fill(d *database, kind abi.Kind) (rows, failures int) {
	filler := strings.Repeat("filler ", 10_000)
	for rows < 1000 && failures < 5 {
		_, err := d.try("INSERT INTO bulk VALUES ($1, $2)", rows, filler)
		if err == nil {
			rows++
			continue
		}
		failures++
		want := kind
		if kind == abi.Other {
			want = abi.KindOf(err)
		}
		wantKind(c, err, want, "an update on a full disk")
		d.want(int64(rows), "SELECT count(*) FROM bulk")
	}
	return rows, failures
}

// checkStarved: what was committed before, and nothing else, is there.
func (c *child) checkStarved(d *database, e Engine, rows int) {
	d.want(int64(rows), "SELECT count(*) FROM bulk")
	d.want(1, "SELECT n FROM total")
	d.want(2, "SELECT count(*) FROM parts")
	r := newReplica(e)
	for _, commit := range d.changes(0) {
		if err := r.apply(commit); err != nil {
			c.Fatalf("%v", err)
		}
	}
	d.compare(r)
}
