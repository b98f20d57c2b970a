package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// A session is a connection to a node: the one that owns the directory, or
// this process, which has opened the directory or the shared database and
// executes nothing.
type session struct {
	*client.Client
	system *dbos.System // of this process; nil if it is another's
	local  bool         // it is this process
	shared bool         // other processes may have the database open at the same time
	house  string       // directory of the warehouse of a shared database, once it is known
	close  func() error
}

// place is what a program opens that executes the session's runs.
func (s *session) place() string {
	if s.shared {
		return "database"
	}
	return "data directory"
}

// idle reports whether no program executes the session's runs.
func (s *session) idle(ctx context.Context) (bool, error) {
	if !s.shared {
		return s.local, nil
	}
	st, err := s.Status(ctx)
	return !slices.ContainsFunc(st.GetNodes(), (*dbosv1.Node).GetAlive), err
}

// ownerPatience is how long a directory may have an owner who does not answer
// at a door: a program that is starting or ending, or another dbos command.
const ownerPatience = 2 * time.Second

// connect opens the shared database, or reaches the directory's node, or opens
// the directory. The session must be closed.
func (c *cli) connect(ctx context.Context) (*session, error) {
	t, err := c.target()
	if err != nil {
		return nil, err
	}
	if t.url != "" {
		return openShared(ctx, t.url)
	}
	return connectDirectory(ctx, t.dir)
}

// openShared opens a database that many processes share: it has no owner, so
// nobody needs to be asked.
func openShared(ctx context.Context, url string) (*session, error) {
	sys, err := dbos.Open(ctx, url, dbos.Existing())
	if err != nil {
		return nil, err
	}
	s := serveHere(sys)
	s.shared = true
	return s, nil
}

// connectDirectory reaches the directory's node, or opens the directory.
func connectDirectory(ctx context.Context, dir string) (*session, error) {
	patience, cancel := context.WithTimeout(ctx, ownerPatience)
	defer cancel()
	for {
		s, err := reach(ctx, dir)
		if !errors.Is(err, abi.Owned) {
			return s, err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-patience.Done():
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, noDoor(err)
		}
	}
}

// reach tries once. The error is of kind abi.Owned if somebody owns the
// directory who does not answer.
func reach(ctx context.Context, dir string) (*session, error) {
	s, err := knockAt(ctx, dir)
	if !errors.Is(err, abi.Unavailable) {
		return s, err
	}
	sys, err := dbos.Open(ctx, "file:"+dir)
	if err != nil {
		return nil, err
	}
	return serveHere(sys), nil
}

// knockAt reaches the node behind a directory's door. If nobody answers, the
// error is of kind abi.Unavailable.
func knockAt(ctx context.Context, dir string) (*session, error) {
	node, err := client.Dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	return &session{Client: node, close: func() error { node.Close(); return nil }}, nil
}

// answering reaches what answers at once: a server, or a directory's node. It
// never opens a directory.
func answering(ctx context.Context, t target) (*session, error) {
	if t.url != "" {
		return openShared(ctx, t.url)
	}
	return knockAt(ctx, t.dir)
}

// noDoor explains an owner who does not answer.
func noDoor(err error) error {
	e, ok := errors.AsType[*abi.Error](err)
	if !ok {
		return err
	}
	return abi.Errorf("dbos.connect", abi.Owned, e.Resource, "%w, and does not answer at a door", e.Err).
		WithHint("if it is your program, add after dbos.Open: door, err := server.Serve(sys); if it is another dbos command, wait until it ends")
}
