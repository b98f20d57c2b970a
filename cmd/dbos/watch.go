package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// A listing is what a watcher has heard last.
type listing struct {
	runs []*dbosv1.Run
	lost bool // no node answers: nothing changes until one does
}

// nodeKnock is how often a watcher looks for a node where there is none. It
// only knocks at the door: opening the directory could get in the way of the
// program that is about to.
const nodeKnock = 500 * time.Millisecond

// watch prints the listing at every change until ctx ends.
func (c *cli) watch(ctx context.Context, filter *dbosv1.RunFilter) error {
	t, err := c.target()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	heard := make(chan listing)
	failed := make(chan error, 1)
	go func() { failed <- c.listen(ctx, t, filter, heard) }()
	if c.screen.terminal {
		defer fmt.Fprintln(c.out)
	}
	// The times are relative, so a terminal is redrawn as they pass.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var now listing
	for {
		select {
		case next := <-heard:
			if next.lost && now.runs != nil {
				next.runs = now.runs
				if now = next; !c.screen.terminal {
					continue // it has been printed
				}
			}
			now = next
		case <-tick.C:
			if !c.screen.terminal {
				continue
			}
		case err := <-failed:
			return err
		}
		if err := c.draw(now, filter); err != nil {
			return err
		}
	}
}

// listen passes on what the directory's nodes say, one after the other, or the
// shared database, until ctx ends. If there is no node to begin with, it looks
// into the directory once; a database that cannot be opened to begin with is
// an error.
func (c *cli) listen(ctx context.Context, t target, filter *dbosv1.RunFilter, heard chan<- listing) error {
	knock := time.NewTicker(nodeKnock)
	defer knock.Stop()
	for first := true; ; first = false {
		spoke, err := follow(ctx, t, filter, heard)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !errors.Is(err, abi.Unavailable) && !errors.Is(err, abi.Closed) {
			return err
		}
		gone := listing{lost: true}
		if first && t.url != "" && !spoke {
			return err
		}
		if first && t.url == "" {
			if gone.runs, err = c.glance(ctx, filter); err != nil {
				return err
			}
		}
		if err := send(ctx, heard, gone); err != nil {
			return err
		}
		if _, err := receive(ctx, knock.C); err != nil {
			return err
		}
	}
}

// glance returns the listing as it is now.
func (c *cli) glance(ctx context.Context, filter *dbosv1.RunFilter) ([]*dbosv1.Run, error) {
	s, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.List(ctx, filter)
}

// follow passes on what one node says, until it or ctx ends, and whether it
// said anything.
func follow(ctx context.Context, t target, filter *dbosv1.RunFilter, heard chan<- listing) (spoke bool, err error) {
	node, err := answering(ctx, t)
	if err != nil {
		return false, err
	}
	defer node.close()
	for runs, err := range node.Watch(ctx, filter) {
		if err != nil {
			return spoke, err
		}
		if err := send(ctx, heard, listing{runs: runs}); err != nil {
			return spoke, err
		}
		spoke = true
	}
	return spoke, nil
}

func send[T any](ctx context.Context, c chan<- T, v T) error {
	select {
	case c <- v:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func receive[T any](ctx context.Context, c <-chan T) (v T, err error) {
	select {
	case v := <-c:
		return v, nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}

// draw prints a listing: in place on a terminal, and one after the other
// elsewhere.
func (c *cli) draw(l listing, filter *dbosv1.RunFilter) error {
	if c.json {
		return c.printJSONLine(runsOf(l.runs))
	}
	c.screen = newScreen(c.out, c.noColor) // it may have been resized
	var b strings.Builder
	if err := c.printRuns(&b, l.runs, filter); err != nil {
		return err
	}
	if !c.screen.terminal {
		_, err := fmt.Fprintln(c.out, b.String())
		return err
	}
	foot := "Ctrl-C ends"
	if l.lost {
		foot = "no program answers; waiting for one. " + foot
	}
	_, err := fmt.Fprint(c.out, frame(b.String(), c.screen.paint(foot, dim), c.screen.height))
	return err
}

// frame returns text that replaces what is on a terminal: as many lines as fit
// over a last one.
func frame(text, foot string, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if room := height - 1; height > 2 && len(lines) > room {
		left := len(lines) - (room - 1)
		lines = append(lines[:room-1], fmt.Sprintf("… and %d more", left))
	}
	var b strings.Builder
	b.WriteString("\x1b[H") // to the upper left
	for _, line := range append(lines, foot) {
		b.WriteString(line + "\x1b[K\r\n") // and forget the rest of the line
	}
	frame := strings.TrimSuffix(b.String(), "\r\n")
	return frame + "\x1b[J" // and what is below
}
