package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/proto/dbos/v1/dbosv1connect"
)

// kinds returns all kinds of errors.
func kinds() []abi.Kind {
	var list []abi.Kind
	for k := abi.Other; k.Error() != abi.Kind(-1).Error(); k++ {
		list = append(list, k)
	}
	return list
}

func TestEveryKindHasANumberAndACode(t *testing.T) {
	for _, k := range kinds() {
		if _, ok := dbosv1.ErrorKind_name[int32(k)]; !ok {
			t.Errorf("%v (%d) is missing in error.proto", k, k)
		}
		if _, ok := codes[k]; !ok {
			t.Errorf("%v has no code", k)
		}
	}
	if got, want := len(dbosv1.ErrorKind_name), len(kinds()); got != want {
		t.Errorf("error.proto has %d kinds, abi has %d", got, want)
	}
}

// failing is a node whose status is an error.
type failing struct {
	dbosv1connect.UnimplementedNodeServiceHandler
	err error
}

func (f *failing) Status(context.Context, *dbosv1.StatusRequest) (*dbosv1.StatusResponse, error) {
	return nil, f.err
}

// dialHandler returns a client of a handler.
func dialHandler(t *testing.T, h http.Handler) *client.Client {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = protocols()
	s.Start()
	t.Cleanup(s.Close)
	c := client.New(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", s.Listener.Addr().String())
	})
	t.Cleanup(c.Close)
	return c
}

func TestErrorsCrossTheWire(t *testing.T) {
	node := &failing{}
	mux := http.NewServeMux()
	mux.Handle(dbosv1connect.NewNodeServiceHandler(node, connect.WithInterceptors(errorWriter{})))
	c := dialHandler(t, mux)
	call := func(err error) error {
		node.err = err
		_, got := c.Status(t.Context())
		return got
	}
	for _, k := range kinds() {
		for _, sent := range []*abi.Error{
			{Op: "sched.cancel", Kind: k, Resource: `run "ü"`, Hint: "try again", Err: errors.New("the cause: 100 %")},
			{Kind: k},
		} {
			got := call(sent)
			e, ok := errors.AsType[*abi.Error](got)
			if !ok {
				t.Fatalf("%v came back as %T", sent, got)
			}
			if e.Error() != sent.Error() || e.Kind != sent.Kind || e.Op != sent.Op || e.Resource != sent.Resource || e.Hint != sent.Hint {
				t.Errorf("sent %#v, got %#v", sent, e)
			}
			if !errors.Is(got, k) {
				t.Errorf("errors.Is does not find %v", k)
			}
		}
	}
	wrapped := fmt.Errorf("while shutting: %w", abi.Errorf("x.y", abi.Trimmed, "history", "gone").WithHint("wait"))
	if got := call(wrapped); got.Error() != wrapped.Error() || !errors.Is(got, abi.Trimmed) || abi.HintOf(got) != "wait" {
		t.Errorf("sent %v, got %v (%v)", wrapped, got, abi.HintOf(got))
	}
	for sent, kind := range map[error]abi.Kind{
		errors.New("plain"):      abi.Other,
		context.Canceled:         abi.Canceled,
		context.DeadlineExceeded: abi.Timeout,
	} {
		if got := call(sent); got.Error() != sent.Error() || abi.KindOf(got) != kind {
			t.Errorf("sent %v, got %v of kind %v", sent, got, abi.KindOf(got))
		}
	}
}

func TestPanicInAHandler(t *testing.T) {
	c := dialHandler(t, Handler(nil)) // there is no system to call
	_, err := c.Status(t.Context())
	if !errors.Is(err, abi.Panicked) {
		t.Errorf("got %v, want a panic", err)
	}
	if _, err := c.Query(t.Context(), "select 1"); !errors.Is(err, abi.Panicked) {
		t.Errorf("streaming: got %v, want a panic", err)
	}
}

func TestUnknownProcedure(t *testing.T) {
	c := dialHandler(t, http.NotFoundHandler())
	_, err := c.Status(t.Context())
	if !errors.Is(err, abi.Unsupported) || abi.HintOf(err) == "" {
		t.Errorf("got %v (%v), want unsupported with a hint", err, abi.KindOf(err))
	}
}
