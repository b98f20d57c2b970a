package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// kinds are the kinds of errors that Connect itself makes, on either side.
var kinds = map[connect.Code]abi.Kind{
	connect.CodeCanceled:          abi.Canceled,
	connect.CodeInvalidArgument:   abi.Invalid,
	connect.CodeDeadlineExceeded:  abi.Timeout,
	connect.CodeNotFound:          abi.NotFound,
	connect.CodeAlreadyExists:     abi.Exists,
	connect.CodePermissionDenied:  abi.Denied,
	connect.CodeResourceExhausted: abi.Exhausted,
	connect.CodeUnimplemented:     abi.Unsupported,
	connect.CodeUnavailable:       abi.Unavailable,
	connect.CodeUnauthenticated:   abi.Unauthenticated,
}

// rebuild returns the error that the node saw as an *abi.Error, from a failed
// call of the procedure; nil for nil.
func rebuild(procedure string, err error) error {
	if err == nil {
		return nil
	}
	wire, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return abi.Errorf("client.call", abi.KindOf(err), "", "%w", err)
	}
	for _, d := range wire.Details() {
		message, err := d.Value()
		if detail, ok := message.(*dbosv1.Error); ok && err == nil {
			return fromDetail(detail)
		}
	}
	return fromConnect(procedure, wire)
}

// fromConnect classifies an error that Connect itself made.
func fromConnect(procedure string, wire *connect.Error) error {
	e := &abi.Error{Op: "client.call", Kind: kinds[wire.Code()], Err: wire.Unwrap()}
	switch {
	case errors.Is(wire, context.Canceled):
		e.Kind = abi.Canceled
	case errors.Is(wire, context.DeadlineExceeded):
		e.Kind = abi.Timeout
	case wire.Code() == connect.CodeUnimplemented:
		e.Resource = "call " + procedure
		e.Hint = "the node runs another version of DBOS than this client; dbos status shows it"
	case e.Kind == abi.Exhausted:
		e.Hint = "send or ask for less at once"
	case e.Kind == abi.Unavailable, broken(wire):
		e.Kind, e.Resource = abi.Unavailable, "connection to the node"
		e.Hint = "see whether the program that owns the data directory still runs"
	}
	return e
}

// broken reports whether an error is that of a connection which ended in the
// middle of a message. Connect calls that an error of the protocol.
func broken(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed)
}

func fromDetail(d *dbosv1.Error) error {
	e := &abi.Error{Op: d.Op, Kind: abi.Kind(d.Kind), Resource: d.Resource, Hint: d.Hint}
	if d.Message != "" {
		e.Err = errors.New(d.Message)
	}
	return e
}

// noNode is the error of a directory at whose door nobody answers.
func noNode(dir string, err error) error {
	return abi.Errorf("client.dial", abi.Unavailable, fmt.Sprintf("data directory %s", dir), "no node answers at its door: %w", err).
		WithHint("start the program that uses the directory; to answer, it has to call server.Serve")
}

// ended returns why a stream that should go on has ended.
func ended(err error) error {
	if err == nil {
		return connect.NewError(connect.CodeUnavailable, io.ErrUnexpectedEOF)
	}
	return cut(err)
}

// cut returns the error of a stream: one that the node did not send, such as
// a reset, says that the node or the connection has gone.
func cut(err error) error {
	if err == nil || connect.IsWireError(err) {
		return err
	}
	switch connect.CodeOf(err) {
	case connect.CodeInternal, connect.CodeUnknown, connect.CodeInvalidArgument:
		return connect.NewError(connect.CodeUnavailable, err)
	}
	return err
}
