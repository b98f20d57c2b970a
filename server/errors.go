package server

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// codes are the nearest Connect codes to abi's kinds. The exact kind travels
// in the error's detail.
var codes = map[abi.Kind]connect.Code{
	abi.Other:           connect.CodeUnknown,
	abi.Invalid:         connect.CodeInvalidArgument,
	abi.NotFound:        connect.CodeNotFound,
	abi.Exists:          connect.CodeAlreadyExists,
	abi.Conflict:        connect.CodeFailedPrecondition,
	abi.Denied:          connect.CodePermissionDenied,
	abi.Unauthenticated: connect.CodeUnauthenticated,
	abi.Exhausted:       connect.CodeResourceExhausted,
	abi.Canceled:        connect.CodeCanceled,
	abi.Timeout:         connect.CodeDeadlineExceeded,
	abi.Unavailable:     connect.CodeUnavailable,
	abi.Closed:          connect.CodeUnavailable,
	abi.Corrupt:         connect.CodeDataLoss,
	abi.Unsupported:     connect.CodeUnimplemented,
	abi.Fenced:          connect.CodeAborted,
	abi.Diverged:        connect.CodeFailedPrecondition,
	abi.Owned:           connect.CodeUnavailable,
	abi.Trimmed:         connect.CodeOutOfRange,
	abi.Panicked:        connect.CodeInternal,
	abi.Unknown:         connect.CodeUnknown,
}

// wireError returns err as it goes to the client: with the nearest code and,
// as a detail, everything from which the client rebuilds the error. Errors
// that Connect itself made stay as they are.
func wireError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*connect.Error](err); ok {
		return err
	}
	code, ok := codes[abi.KindOf(err)]
	if !ok {
		code = connect.CodeUnknown
	}
	wire := connect.NewError(code, errors.New(err.Error()))
	if detail, err := connect.NewErrorDetail(errorDetail(err)); err == nil {
		wire.AddDetail(detail)
	}
	return wire
}

// errorDetail describes an error so that its text, kind and hint survive. Of
// an error that wraps an abi.Error in other words, the words are the message.
func errorDetail(err error) *dbosv1.Error {
	detail := &dbosv1.Error{Kind: dbosv1.ErrorKind(abi.KindOf(err)), Hint: abi.HintOf(err)}
	e, ok := err.(*abi.Error)
	if !ok {
		detail.Message = err.Error()
		return detail
	}
	detail.Op, detail.Resource = e.Op, e.Resource
	if e.Err != nil {
		detail.Message = e.Err.Error()
	}
	return detail
}

// errorWriter is the interceptor that makes every handler's errors wire
// errors.
type errorWriter struct{}

func (errorWriter) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		res, err := next(ctx, req)
		return res, wireError(err)
	}
}

func (errorWriter) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (errorWriter) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return wireError(next(ctx, conn))
	}
}
