package server_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/client"
	"github.com/dbos-go/dbos/server"
)

// A node is a system with a door, and a client of it.
type node struct {
	sys  *dbos.System
	door *server.Door
	*client.Client
	// gate lets the runs of the workflow "gate" end.
	gate chan struct{}
}

// newNode opens a system in a new directory, or in dir, and its door.
func newNode(t *testing.T, dir string, opts ...server.Option) *node {
	t.Helper()
	if dir == "" {
		dir = filepath.Join(t.TempDir(), "data")
	}
	sys, err := dbos.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close() })
	n := &node{sys: sys, gate: make(chan struct{})}
	dbos.Workflow(sys, "gate", func(ctx dbos.Context, word string) (string, error) {
		return dbos.Step(ctx, "pass", func(ctx context.Context) (string, error) {
			select {
			case <-n.gate:
				return word, nil
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		})
	})
	dbos.Workflow(sys, "fail", func(dbos.Context, string) (string, error) { return "", errors.New("as asked") })
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.door, err = server.Serve(sys, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.door.Close() })
	n.Client, err = client.Dial(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Client.Close)
	return n
}

func TestCloseIsQuick(t *testing.T) {
	n := newNode(t, "")
	if _, err := n.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := n.door.Close(); err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(begin))
}
