package server_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	"github.com/dbos-go/dbos/server"
)

// limit is how long a test waits for what must happen.
const limit = 30 * time.Second

// A node is a system with a door, and a client of it.
type node struct {
	sys  *dbos.System
	door *server.Door
	dir  string
	*client.Client
	// gate lets the runs of the workflow "gate" end, when it is closed.
	gate chan struct{}
}

// newNode opens a system in a new directory, or in dir, and its door.
func newNode(t *testing.T, dir string, opts ...server.Option) *node {
	t.Helper()
	n := &node{dir: dir, gate: make(chan struct{})}
	if dir == "" {
		n.dir = filepath.Join(t.TempDir(), "data")
	}
	var err error
	if n.sys, err = dbos.Open(t.Context(), n.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.sys.Close() })
	dbos.Workflow(n.sys, "gate", func(ctx dbos.Context, word string) (string, error) {
		return dbos.Step(ctx, "pass", func(ctx context.Context) (string, error) {
			select {
			case <-n.gate:
				return word, nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
	})
	dbos.Workflow(n.sys, "fail", func(ctx dbos.Context, _ string) (string, error) {
		if err := dbos.SetEvent(ctx, "mood", "bad"); err != nil {
			return "", err
		}
		return "", errors.New("as asked")
	})
	if err := n.sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.door, err = server.Serve(n.sys, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.door.Close() })
	n.Client, err = client.Dial(t.Context(), n.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Client.Close) // before the door's, which waits for it
	return n
}

// within returns a context that ends a test which waits in vain.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func wantKind(t *testing.T, err error, kind abi.Kind) {
	t.Helper()
	if err == nil || abi.KindOf(err) != kind {
		t.Errorf("got %v (%v), want an error of kind %v", err, abi.KindOf(err), kind)
	}
}
