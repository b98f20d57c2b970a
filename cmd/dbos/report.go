package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dbos-go/dbos/abi"
)

// The exit codes. They are part of the command's contract: docs/guide/cli.md.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5
)

// A reported error is one that the command has already printed.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }

// errUnsuccessful is a run that did not succeed.
var errUnsuccessful = errors.New("the run did not succeed")

// report prints an error and its hint, and returns the exit code.
func (c *cli) report(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[reported](err); ok {
		return exitCode(err)
	}
	if !c.begun {
		if _, ok := errors.AsType[*usage](err); !ok {
			err = usageError("", "%s", err) // cobra's own
		}
	}
	printError(c.err, err, c.command)
	return exitCode(err)
}

// printError prints "dbos: what failed: why" and a line with the hint.
func printError(w io.Writer, err error, command string) {
	hint := abi.HintOf(err)
	if u, ok := errors.AsType[*usage](err); ok {
		hint = u.hint
		if hint == "" {
			hint = command + " --help shows how it is used"
		}
	}
	fmt.Fprintf(w, "dbos: %s\n", lines(err))
	if hint != "" {
		fmt.Fprintf(w, "hint: %s\n", printable(hint))
	}
}

// lines returns an error's text: on one line, but for that of a statement's
// mistake, below which the warehouse shows the place.
func lines(err error) string {
	text := strings.TrimRight(sentence(err), "\n")
	e, ok := errors.AsType[*abi.Error](err)
	if !ok || e.Op != "warehouse.query" {
		return printable(text)
	}
	var list []string
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			list = append(list, printable(line))
		}
	}
	return strings.Join(list, "\n      ")
}

// sentence returns an error's text without the names of the procedures that
// failed, which are for logs.
func sentence(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if list := joined.Unwrap(); len(list) == 1 {
			return sentence(list[0])
		}
	}
	e, ok := err.(*abi.Error)
	if !ok {
		return err.Error()
	}
	var parts []string
	if e.Resource != "" {
		parts = append(parts, e.Resource)
	}
	if e.Err != nil {
		parts = append(parts, sentence(e.Err))
	} else {
		parts = append(parts, e.Kind.Error())
	}
	return strings.Join(parts, ": ")
}

func exitCode(err error) int {
	if _, ok := errors.AsType[*usage](err); ok {
		return exitUsage
	}
	switch abi.KindOf(err) {
	case abi.Invalid:
		return exitUsage
	case abi.NotFound:
		return exitNotFound
	case abi.Exists, abi.Conflict, abi.Denied, abi.Unauthenticated, abi.Owned, abi.Fenced:
		return exitConflict
	case abi.Unavailable, abi.Closed, abi.Timeout:
		return exitUnavailable
	}
	return exitFailed
}
