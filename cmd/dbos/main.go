// Command dbos shows and controls the runs of a data directory or of a
// PostgreSQL database. It talks to the node that owns the directory, through
// the node's door, or opens a directory that no node owns; a database has no
// owner, and is opened beside the nodes that share it.
//
// See docs/guide/cli.md, or run dbos help.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// A cli is one invocation of the command.
type cli struct {
	in       io.Reader
	out, err io.Writer
	now      func() time.Time
	screen   screen
	typed    *bufio.Reader // of in, once a person has been asked

	// The global flags.
	data    string
	json    bool
	noColor bool

	// begun says that the command line was understood: an error before is
	// one of usage.
	begun bool
	// command is what was called, for hints: "dbos show".
	command string
}

// run runs the command and returns its exit code.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	c := &cli{in: in, out: out, err: errOut, now: time.Now, command: "dbos"}
	ctx, caught := withSignals(context.Background())
	root := c.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if s := caught(); s != 0 && err != nil {
		return 128 + int(s)
	}
	return c.report(err)
}

// withSignals returns a context that ends with the first interrupt, and a
// function that returns the signal, or 0. A second interrupt ends the process
// as if there were no handler.
func withSignals(ctx context.Context) (context.Context, func() syscall.Signal) {
	ctx, stop := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var caught atomic.Int32
	go func() {
		s := (<-signals).(syscall.Signal)
		caught.Store(int32(s))
		signal.Stop(signals)
		stop(fmt.Errorf("interrupted (%v)", s))
	}()
	return ctx, func() syscall.Signal { return syscall.Signal(caught.Load()) }
}
