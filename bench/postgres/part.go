package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos"
)

// The measurements with several processes run this program again, in one of
// these parts. A part works on the queue and prints a line at each event.
const (
	partDBOS     = "dbos"     // executes noop, and prints how late each begins
	partRiver    = "river"    // the same with River
	partVictim   = "victim"   // starts runs, and stays in their step
	partSurvivor = "survivor" // executes what the victim leaves behind
)

// ready is the line that a part prints when it has begun.
const ready = "ready"

func (s *settings) playPart(ctx context.Context) error {
	out := make(chan string, 1024)
	go func() {
		w := bufio.NewWriter(os.Stdout)
		for line := range out {
			w.WriteString(line + "\n")
			if len(out) == 0 {
				w.Flush()
			}
		}
	}()
	late := func(sent int64) { out <- strconv.FormatInt(time.Now().UnixNano()-sent, 10) }
	if s.child == partRiver {
		pool, err := s.riverPool(ctx, s.url)
		if err != nil {
			return err
		}
		client, err := s.newRiver(pool, late)
		if err != nil {
			return err
		}
		if err := client.Start(ctx); err != nil {
			return err
		}
	} else if err := s.beNode(ctx, out, late); err != nil {
		return err
	}
	out <- ready
	io.Copy(io.Discard, os.Stdin) // until the parent is done or dead
	return nil
}

// beNode is a part of DBOS. It is not closed: it ends as if it were killed.
func (s *settings) beNode(ctx context.Context, out chan<- string, late func(int64)) error {
	sys, err := s.open(ctx, s.url)
	if err != nil {
		return err
	}
	switch s.child {
	case partDBOS:
		defineNoop(sys, late)
	case partVictim:
		return beVictim(ctx, sys, s.Workers)
	case partSurvivor:
		defineOrder(sys, func(context.Context) error { out <- "step"; return nil })
	default:
		return fmt.Errorf("there is no part %q", s.child)
	}
	return sys.Launch(ctx)
}

// defineOrder registers the workflow whose second step a process dies in.
func defineOrder(sys *dbos.System, charge func(context.Context) error) *dbos.Definition[int64, int64] {
	return dbos.Workflow(sys, "order", func(ctx dbos.Context, n int64) (int64, error) {
		if _, err := dbos.Step(ctx, "reserve", func(context.Context) (int, error) { return 1, nil }); err != nil {
			return 0, err
		}
		return dbos.Step(ctx, "charge", func(ctx context.Context) (int64, error) { return n, charge(ctx) })
	})
}

// beVictim returns when all its runs are inside their second step.
func beVictim(ctx context.Context, sys *dbos.System, runs int) error {
	inside := newCounter(runs)
	def := defineOrder(sys, func(ctx context.Context) error {
		inside.one(0)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if err := sys.Launch(ctx); err != nil {
		return err
	}
	err := inBatches(runs, min(runs, batch), 1, func(int) error {
		_, err := def.Start(ctx, 1)
		return err
	})
	if err != nil {
		return err
	}
	return inside.wait(ctx)
}

// A part is a process of this program.
type part struct {
	process *exec.Cmd
	input   io.Closer
	lines   *bufio.Scanner
}

// start runs this program in a part and returns when it has begun.
func (s *settings) start(ctx context.Context, name, url string, workers int) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, "-child", name, "-url", url,
		"-workers", strconv.Itoa(workers), "-connections", strconv.Itoa(s.Connections))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &part{process: cmd, input: input, lines: bufio.NewScanner(out)}
	if line, err := p.line(); err != nil || line != ready {
		p.kill()
		return nil, errors.Join(fmt.Errorf("the part %s said %q", name, line), err)
	}
	return p, nil
}

// line returns the next line that the part prints.
func (p *part) line() (string, error) {
	if !p.lines.Scan() {
		return "", errors.Join(errors.New("it has ended"), p.lines.Err())
	}
	return strings.TrimSpace(p.lines.Text()), nil
}

// kill ends the part with SIGKILL.
func (p *part) kill() {
	p.process.Process.Kill()
	p.process.Wait() // it says "signal: killed"
	p.input.Close()
}
