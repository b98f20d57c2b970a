package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/abi"
)

// serverError classifies an error that is not about one statement.
func serverError(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e
	}
	kind, hint := classify(err)
	e := abi.Errorf(op, kind, "", "%w", plain(err))
	e.Hint = hint
	return e
}

// statementError is serverError for a statement, which it names.
func statementError(statement string, err error) error {
	if e, ok := errors.AsType[*abi.Error](err); ok {
		return e
	}
	kind, hint := classify(err)
	e := abi.Errorf("dbms.statement", kind, fmt.Sprintf("statement %q", shorten(statement)), "%w", plain(err))
	e.Hint = hint
	return e
}

// A plainError is a server's error in the words of a sentence.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

func plain(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	text := pg.Message
	if pg.Detail != "" {
		text += ": " + strings.TrimSuffix(pg.Detail, ".")
	}
	return &plainError{text, err}
}

func shorten(sql string) string {
	line := strings.Join(strings.Fields(sql), " ")
	if len(line) > 60 {
		return strings.ToValidUTF8(line[:60], "") + "…"
	}
	return line
}

// SQLSTATEs that the engine acts upon (PostgreSQL, appendix A).
const (
	stateUniqueViolation     = "23505"
	stateForeignKeyViolation = "23503"
	stateSerializationFailed = "40001"
	stateDeadlock            = "40P01"
	stateQueryCanceled       = "57014"
	stateReadOnly            = "25006"
	statePlanChanged         = "0A000" // cached plan must not change result type
	stateNoStatement         = "26000"
	stateTerminated          = "57P01"
)

func stateOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

// conflicts reports whether the transaction may succeed when it runs again.
func conflicts(err error) bool {
	state := stateOf(err)
	return state == stateSerializationFailed || state == stateDeadlock
}

// disconnected reports whether err says that the connection, or the server,
// is gone.
func disconnected(err error) bool {
	if err == nil {
		return false
	}
	switch state := stateOf(err); {
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "57P"), state == "25P03", state == "53300":
		return true
	case state != "":
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, errBroken)
}

// classes are the kinds of SQLSTATE classes.
var classes = map[string]abi.Kind{
	"08": abi.Unavailable, "0A": abi.Unsupported, "21": abi.Invalid, "22": abi.Invalid, "23": abi.Invalid,
	"25": abi.Invalid, "26": abi.Invalid, "28": abi.Denied, "2B": abi.Conflict, "34": abi.Invalid,
	"3D": abi.NotFound, "3F": abi.NotFound, "40": abi.Conflict, "42": abi.Invalid, "44": abi.Invalid,
	"53": abi.Exhausted, "54": abi.Invalid, "55": abi.Conflict, "57": abi.Unavailable, "58": abi.Unavailable,
	"XX": abi.Corrupt,
}

// classify maps an error to a kind and says what to do.
func classify(err error) (abi.Kind, string) {
	state := stateOf(err)
	switch state {
	case "":
		return classifyLocal(err)
	case stateUniqueViolation, "23P01":
		return abi.Exists, ""
	case stateForeignKeyViolation:
		return abi.Conflict, ""
	case "42501":
		return abi.Denied, "applications may read the system's tables and change only their own; a role needs the grants of docs/guide/postgres.md"
	case stateReadOnly:
		return abi.Denied, "a view reads only; change data in an update"
	case stateQueryCanceled:
		return abi.Canceled, ""
	case "55P03":
		return abi.Timeout, ""
	case "53300":
		return abi.Unavailable, "raise the server's max_connections, or lower dbos_connections in the URL"
	case "28P01", "28000":
		return abi.Denied, "check the URL's user and password, and the server's pg_hba.conf"
	case "3D000":
		return abi.NotFound, "create the database first, for example with createdb"
	case "53100":
		return abi.Exhausted, "free space on the server's disk, then try again"
	}
	return classes[state[:2]], ""
}

func classifyLocal(err error) (abi.Kind, string) {
	switch {
	case errors.Is(err, context.Canceled):
		return abi.Canceled, ""
	case errors.Is(err, context.DeadlineExceeded):
		return abi.Timeout, ""
	case disconnected(err):
		return abi.Unavailable, "check that the server runs and that the URL names it"
	}
	return abi.Other, ""
}

// stopCause is the error of an ended context.
func stopCause(ctx context.Context) *abi.Error {
	kind := abi.Canceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		kind = abi.Timeout
	}
	return &abi.Error{Op: "dbms.update", Kind: kind, Err: context.Cause(ctx)}
}
