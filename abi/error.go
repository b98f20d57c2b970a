package abi

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// An Error is the one error shape of DBOS. Every exported function of every
// level returns its failures in it, so that a caller can ask for the kind
// (errors.Is(err, abi.NotFound)), the cause (errors.As, errors.Is on Err) and
// show a person a sentence that says what failed, why, and what to do.
type Error struct {
	// Op is the operation that failed: "dbms.update", "sched.cancel".
	Op string
	// Kind classifies the failure; it crosses the wire.
	Kind Kind
	// Resource names what it concerned: `run order-42`, "argument limit".
	// It may be empty.
	Resource string
	// Hint says what to do about it, as a sentence without a full stop. It
	// may be empty.
	Hint string
	// Err is the cause. It may be nil.
	Err error
}

// Errorf returns an Error whose cause is formatted as by fmt.Errorf; %w wraps.
func Errorf(op string, kind Kind, resource, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Resource: resource, Err: fmt.Errorf(format, args...)}
}

// WithHint sets the hint and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Error renders "op: resource: cause" and leaves out what is empty. The hint
// is not part of it; see Hint.
func (e *Error) Error() string {
	var parts []string
	for _, s := range []string{e.Op, e.Resource} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	} else {
		parts = append(parts, e.Kind.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is e's Kind, so that errors.Is(err, abi.NotFound)
// works for an Error anywhere in a chain.
func (e *Error) Is(target error) bool {
	k, ok := target.(Kind)
	return ok && k == e.Kind
}

// KindOf returns the kind of the outermost Error in err's chain. For a chain
// without one it classifies the context package's errors and returns Other
// for everything else, including nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Canceled
	}
	return Other
}

// HintOf returns the outermost hint in err's chain, or "".
func HintOf(err error) string {
	for err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			if e.Hint != "" {
				return e.Hint
			}
			err = e.Err
			continue
		}
		return ""
	}
	return ""
}
