package dbmstest

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
)

// childEnv tells a process of the test binary that it is a child, and which
// part of the examination it plays; engineEnv is the label of the engine.
const (
	childEnv  = "DBOS_EXAMINED_CHILD"
	engineEnv = "DBOS_EXAMINED_ENGINE"
)

// Main runs the tests of the package of an engine, which is examined in one
// way or several. Call it from TestMain: parts of the examination run in child
// processes of the test binary, which Main tells apart.
func Main(m *testing.M, engines ...Engine) {
	role := os.Getenv(childEnv)
	if role == "" {
		flag.Parse()
		checks := flag.Lookup("rapid.checks")
		if checks.Value.String() == checks.DefValue {
			checks.Value.Set(strconv.Itoa(usualChecks(engines)))
		}
		os.Exit(m.Run())
	}
	at := slices.IndexFunc(engines, func(e Engine) bool { return e.label() == os.Getenv(engineEnv) })
	if at < 0 {
		fmt.Fprintf(os.Stderr, "%s=%s is no engine\n", engineEnv, os.Getenv(engineEnv))
		os.Exit(2)
	}
	e := engines[at]
	play, ok := map[string]func(*child, Engine){
		"crash": (*child).crash,
		"full":  (*child).fullDisk,
		"limit": (*child).fileLimit,
	}[role]
	if !ok {
		fmt.Fprintf(os.Stderr, "%s=%s is no part\n", childEnv, role)
		os.Exit(2)
	}
	c := &child{args: os.Args[1:], out: bufio.NewWriter(os.Stdout)}
	play(c, e)
	c.out.Flush()
	if c.failed {
		os.Exit(1)
	}
	os.Exit(0)
}

// usualChecks is how many random cases rapid tries: 100, fewer where they take
// minutes.
func usualChecks(engines []Engine) int {
	remote := slices.ContainsFunc(engines, func(e Engine) bool { return !e.Directory })
	switch {
	case remote && (raced || testing.Short()):
		return 3
	case raced:
		return 10
	case remote:
		return 12
	}
	return 100
}

// childCommand is a process of this test binary that plays a part.
func childCommand(e Engine, role string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(slices.Clone(os.Environ()), childEnv+"="+role, engineEnv+"="+e.label())
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// A child is this process in its part. It reports findings by printing them.
type child struct {
	args   []string
	out    *bufio.Writer
	failed bool
}

func (c *child) Helper() {}

func (c *child) Errorf(format string, args ...any) {
	c.failed = true
	fmt.Fprintf(os.Stderr, "child: "+format+"\n", args...)
}

func (c *child) Fatalf(format string, args ...any) {
	c.Errorf(format, args...)
	os.Exit(1)
}
