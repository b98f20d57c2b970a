package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
)

// A session is a connection to a node: the one that owns the directory, or
// this process, which has opened the directory and executes nothing.
type session struct {
	*client.Client
	local bool
	close func() error
}

// ownerPatience is how long a directory may have an owner who does not answer
// at a door: a program that is starting or ending, or another dbos command.
const ownerPatience = 2 * time.Second

// connect reaches the directory's node, or opens the directory. The session
// must be closed.
func (c *cli) connect(ctx context.Context) (*session, error) {
	dir, err := c.directory()
	if err != nil {
		return nil, err
	}
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
	node, err := client.Dial(ctx, dir)
	if err == nil {
		return &session{Client: node, close: func() error { node.Close(); return nil }}, nil
	}
	if !errors.Is(err, abi.Unavailable) {
		return nil, err
	}
	sys, err := dbos.Open(ctx, "file:"+dir)
	if err != nil {
		return nil, err
	}
	return serveHere(sys), nil
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

// directory returns the data directory's absolute path. Only one that holds a
// database will do: the command never creates one, lest a wrong name look
// like a system without runs.
func (c *cli) directory() (string, error) {
	dir := c.data
	if dir == "" {
		dir = os.Getenv("DBOS_DATA")
	}
	if dir == "" {
		dir = "dbos-data"
	}
	if scheme, _, ok := strings.Cut(dir, "://"); ok && scheme != "file" {
		return "", abi.Errorf("dbos.connect", abi.Unsupported, "database "+scheme+"://…", "this version knows directories only").
			WithHint("give the data directory of an embedded system with --data DIR")
	}
	dir = strings.TrimPrefix(strings.TrimPrefix(dir, "file:"), "//")
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", abi.Errorf("dbos.connect", abi.Invalid, "data directory "+dir, "%w", err)
	}
	return abs, checkDirectory(dir, abs)
}

func checkDirectory(given, abs string) error {
	const op = "dbos.connect"
	resource := fmt.Sprintf("data directory %s", given)
	const hint = "name the directory that your program opens, with --data DIR or in $DBOS_DATA"
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return abi.Errorf(op, abi.NotFound, resource, "it does not exist").WithHint(hint)
	case err != nil:
		return abi.Errorf(op, abi.Denied, resource, "%w", errors.Unwrap(err))
	case !info.IsDir():
		return abi.Errorf(op, abi.Invalid, resource, "it is a file").WithHint(hint)
	}
	_, err = os.Stat(filepath.Join(abs, "dbos.db"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return abi.Errorf(op, abi.NotFound, resource, "it holds no DBOS database").WithHint(hint)
	case err != nil:
		return abi.Errorf(op, abi.Denied, resource, "%w", errors.Unwrap(err)).
			WithHint("the directory belongs to the user who runs the program; run dbos as that user")
	}
	return nil
}
