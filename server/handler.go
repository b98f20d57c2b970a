package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/proto/dbos/v1/dbosv1connect"
)

// Handler returns the services of sys for a server of the caller's own, which
// must speak HTTP/2 or HTTP/1.1. It authenticates nobody: a call acts as the
// principal of its request's context (dbos.WithPrincipal), which the server
// has to set, and whoever reaches the handler can run any SQL. Its responses
// must take write deadlines (http.ResponseController). Drain has no effect.
func Handler(sys *dbos.System, opts ...Option) http.Handler {
	return newHandler(sys, newConfig(opts), context.Background())
}

// newHandler returns the services. When closing is done, calls that wait for
// something end with abi.Unavailable.
func newHandler(sys *dbos.System, c config, closing context.Context) http.Handler {
	options := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(MaxRequest),
		connect.WithInterceptors(errorWriter{}),
		connect.WithRecover(func(_ context.Context, spec connect.Spec, _ http.Header, p any) error {
			c.log.Error("a handler of the door panicked", "procedure", spec.Procedure, "panic", p, "stack", string(debug.Stack()))
			return wireError(panicError(spec.Procedure, p))
		}),
	)
	mux := http.NewServeMux()
	mux.Handle(dbosv1connect.NewRunServiceHandler(&runService{sys: sys, closing: closing}, options))
	sql := &sqlService{sys: sys, time: c.statement, slots: make(chan struct{}, c.queries)}
	mux.Handle(dbosv1connect.NewSqlServiceHandler(sql, options))
	history := &historyService{sys: sys, time: c.statement, slots: make(chan struct{}, c.queries)}
	mux.Handle(dbosv1connect.NewHistoryServiceHandler(history, options))
	mux.Handle(dbosv1connect.NewNodeServiceHandler(&nodeService{sys: sys}, options))
	return limitWriting(mux, c.statement)
}

func panicError(procedure string, p any) error {
	return abi.Errorf("server.handle", abi.Panicked, "call "+procedure, "the node panicked: %v", p).
		WithHint("this is a bug in DBOS; the node's log has the stack")
}

// limitWriting gives the response to an SQL query a time limit, because a
// sending that waits for a client who has stopped reading does not notice the
// end of the call's context.
func limitWriting(next http.Handler, d time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == dbosv1connect.SqlServiceQueryProcedure || r.URL.Path == dbosv1connect.HistoryServiceQueryProcedure {
			// A second more than the statement, whose own error then wins.
			err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + time.Second))
			if err != nil {
				http.Error(w, fmt.Sprintf("the server cannot limit the time of a response: %v", err), http.StatusInternalServerError)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
