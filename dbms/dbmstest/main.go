package dbmstest

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// childEnv tells a process of the test binary that it is a child, and which
// part of the examination it plays.
const childEnv = "DBOS_EXAMINED_CHILD"

// Main runs the tests of an engine's package. Call it from TestMain: parts of
// the examination run in child processes of the test binary, which Main tells
// apart.
func Main(m *testing.M, e Engine) {
	role := os.Getenv(childEnv)
	if role == "" {
		flag.Parse()
		checks := flag.Lookup("rapid.checks")
		if raced && checks.Value.String() == checks.DefValue {
			checks.Value.Set("10") // of the usual 100, which take minutes
		}
		os.Exit(m.Run())
	}
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

// childCommand is a process of this test binary that plays a part.
func childCommand(role string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(slices.Clone(os.Environ()), childEnv+"="+role)
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
