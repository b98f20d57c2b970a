package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dbos-go/dbos/abi"
)

// A target is the database that a command is about: one of the two.
type target struct {
	dir string // a data directory's absolute path
	url string // of a server's database
}

// target returns what --data or $DBOS_DATA names. Only a directory that holds
// a database will do: the command never creates one, lest a wrong name look
// like a system without runs.
func (c *cli) target() (target, error) {
	name := c.data
	if name == "" {
		name = os.Getenv("DBOS_DATA")
	}
	if name == "" {
		name = "dbos-data"
	}
	t, err := parseTarget(name)
	if err != nil || t.url != "" {
		return t, err
	}
	return t, checkDirectory(directoryName(name), t.dir)
}

// parseTarget reads the name of a database, which need not exist.
func parseTarget(name string) (target, error) {
	scheme, _, ok := strings.Cut(name, "://")
	switch {
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return target{url: name}, nil
	case ok && scheme != "file":
		return target{}, abi.Errorf("dbos.connect", abi.Unsupported, "database "+scheme+"://…", "no engine has this scheme").
			WithHint("give a data directory or postgres://USER@HOST/DATABASE with --data")
	}
	dir, err := filepath.Abs(directoryName(name))
	if err != nil {
		return target{}, abi.Errorf("dbos.connect", abi.Invalid, "data directory "+name, "%w", err)
	}
	return target{dir: dir}, nil
}

func directoryName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "file:"), "//")
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
