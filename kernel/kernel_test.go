package kernel_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/kernel"
)

const holdEnv = "DBOS_KERNEL_HOLD"

// With holdEnv set the test binary owns a directory until its input ends.
func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		if _, err := kernel.Own(dir); err != nil {
			os.Stdout.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString("mine\n")
		os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

// hold starts a process that owns dir; it returns its first words.
func hold(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	words := make([]byte, 1000)
	n, err := out.Read(words)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(string(words[:n]))
}

func TestOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	first, words := hold(t, dir)
	if words != "mine" {
		t.Fatal(words)
	}
	pid := strconv.Itoa(first.Process.Pid)
	_, err := kernel.Own(dir)
	if !errors.Is(err, abi.Owned) || !strings.Contains(err.Error(), pid) || !strings.Contains(abi.HintOf(err), pid) {
		t.Fatalf("second owner: %v; hint: %s", err, abi.HintOf(err))
	}
	if _, words := hold(t, dir); !strings.Contains(words, pid) {
		t.Fatalf("a third process was told %q", words)
	}
	if got, err := kernel.OwnerPID(dir); err != nil || strconv.Itoa(got) != pid {
		t.Fatalf("OwnerPID = %d, %v", got, err)
	}
	// Its death, however sudden, frees the directory.
	first.Process.Kill()
	first.Wait()
	if got, err := kernel.OwnerPID(dir); err != nil || got != 0 {
		t.Fatalf("OwnerPID after the owner's death = %d, %v", got, err)
	}
	owner, err := kernel.Own(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kernel.Own(dir); !errors.Is(err, abi.Owned) {
		t.Fatalf("the same process twice: %v", err)
	}
	if err := owner.Release(); err != nil {
		t.Fatal(err)
	}
	if owner, err = kernel.Own(dir); err != nil {
		t.Fatal(err)
	}
	owner.Release()
}

// Whoever asks for the owner must not keep another process from becoming it.
func TestAskingDoesNotGetInTheWay(t *testing.T) {
	dir := t.TempDir()
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				kernel.OwnerPID(dir)
			}
		}
	})
	defer asking.Wait()
	defer close(stop)
	for range 20 {
		owner, err := kernel.Own(dir)
		if err != nil {
			t.Fatal(err)
		}
		owner.Release()
	}
}

func TestOwnRefusesBadDirectories(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := kernel.Own(file); !errors.Is(err, abi.Invalid) || !strings.Contains(err.Error(), file) {
		t.Fatalf("a file for a directory: %v", err)
	}
	if pid, err := kernel.OwnerPID(filepath.Join(file, "none")); err == nil || pid != 0 {
		t.Fatalf("OwnerPID below a file = %d, %v", pid, err)
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	now := start
	c := kernel.NewClock(func() time.Time { return now }, start.Add(time.Second))
	if got := c.Now(); !got.Equal(start.Add(time.Second)) {
		t.Fatalf("below its floor: %v", got)
	}
	for _, step := range []struct{ host, want time.Duration }{
		{2 * time.Second, 2 * time.Second}, {-time.Hour, 2 * time.Second}, {2 * time.Second, 2 * time.Second}, {3 * time.Second, 3 * time.Second},
	} {
		now = start.Add(step.host)
		if got := c.Now(); !got.Equal(start.Add(step.want)) {
			t.Fatalf("host at %v: %v, want %v", step.host, got.Sub(start), step.want)
		}
	}
}

// After the host's clock was set back, time goes on, slower, until the host
// has caught up; then it is the host's again.
func TestClockSlews(t *testing.T) {
	start := time.Now() // with a monotonic reading, which setting a clock does not touch
	set := time.Duration(0)
	elapsed := time.Duration(0)
	c := kernel.NewClock(func() time.Time {
		// What time.Now returns when the clock was set: the wall clock moves,
		// the monotonic one does not. Tests cannot set one alone, so the
		// readings here have no monotonic part and the jump is between two
		// of them.
		return start.Round(0).Add(elapsed + set)
	}, start)
	elapsed = 10 * time.Second
	before := c.Now()
	set = -time.Hour
	last := c.Now()
	if last.Before(before) {
		t.Fatalf("went back from %v to %v", before, last)
	}
	for elapsed = 20 * time.Second; elapsed <= 100*time.Second; elapsed += 10 * time.Second {
		now := c.Now()
		if d := now.Sub(last); d != 5*time.Second {
			t.Fatalf("in ten seconds the clock went on by %v, want half of them", d)
		}
		last = now
	}
	elapsed = 3 * time.Hour
	if now := c.Now(); !now.Equal(start.Round(0).Add(2 * time.Hour).Truncate(time.Microsecond).UTC()) {
		t.Fatalf("after the host has caught up: %v", now.Sub(start))
	}
	// A second jump begins a new slew.
	set = -2 * time.Hour
	last = c.Now()
	elapsed += 10 * time.Second
	if d := c.Now().Sub(last); d != 5*time.Second {
		t.Fatalf("after the second jump the clock went on by %v", d)
	}
}

func TestNodeIDNamesTheProcess(t *testing.T) {
	id := kernel.NodeID()
	if id != kernel.NodeID() || !strings.Contains(id, "/"+strconv.Itoa(os.Getpid())+"/") {
		t.Fatalf("NodeID %q", id)
	}
}
