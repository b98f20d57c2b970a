package sqlite

import (
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
)

// sqlError classifies an error of SQLite.
func sqlError(op string, err error) error {
	if err == nil {
		return nil
	}
	kind, hint := classify(sqlite.ErrCode(err))
	e := abi.Errorf(op, kind, "", "%w", plain(err))
	e.Hint = hint
	return e
}

// A plainError is an error of SQLite without the names of the calls that it
// went through.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

func plain(err error) error {
	text := err.Error()
	for _, noise := range []string{"sqlite: prepare: ", "sqlite: step: ", "sqlite: reset: ", "SQL logic error: "} {
		text = strings.Replace(text, noise, "", 1)
	}
	return &plainError{text, err}
}

// statementError is sqlError for a statement, which it names.
func statementError(op, statement string, err error) error {
	kind, hint := classify(sqlite.ErrCode(err))
	e := abi.Errorf(op, kind, fmt.Sprintf("statement %q", shorten(statement)), "%w", plain(err))
	e.Hint = hint
	return e
}

func shorten(sql string) string {
	line := strings.Join(strings.Fields(sql), " ")
	if len(line) > 60 {
		return strings.ToValidUTF8(line[:60], "") + "…"
	}
	return line
}

// classify maps a result code to a kind of error and says what to do.
func classify(code sqlite.ResultCode) (abi.Kind, string) {
	switch code {
	case sqlite.ResultConstraintUnique, sqlite.ResultConstraintPrimaryKey, sqlite.ResultConstraintRowID:
		return abi.Exists, ""
	case sqlite.ResultConstraintForeignKey:
		return abi.Conflict, ""
	}
	switch code.ToPrimary() {
	case sqlite.ResultConstraint, sqlite.ResultError, sqlite.ResultMismatch, sqlite.ResultRange:
		return abi.Invalid, ""
	case sqlite.ResultFull:
		return abi.Exhausted, "free space on the disk of the data directory, then try again"
	case sqlite.ResultTooBig:
		return abi.Invalid, "a text or blob may have at most 1 000 000 000 bytes, and a statement 1 000 000"
	case sqlite.ResultAuth, sqlite.ResultReadOnly, sqlite.ResultPerm:
		return abi.Denied, ""
	case sqlite.ResultInterrupt:
		return abi.Canceled, ""
	case sqlite.ResultCorrupt, sqlite.ResultNotADB, sqlite.ResultFormat:
		return abi.Corrupt, "restore the data directory from a copy"
	case sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultIOErr, sqlite.ResultCantOpen, sqlite.ResultNoMem:
		return abi.Unavailable, ""
	}
	return abi.Other, ""
}
