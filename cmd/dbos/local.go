package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/client"
	"github.com/dbos-go/dbos/server"
)

// serveHere returns a session with a system of this process. It goes through
// the same handler as one with a node, over connections in memory, so that a
// command behaves alike whoever owns the directory.
func serveHere(sys *dbos.System) *session {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	h := &http.Server{Handler: server.Handler(sys), Protocols: &p, ReadHeaderTimeout: time.Minute}
	go h.Serve(l) // until it is closed
	node := client.New(l.dial)
	return &session{Client: node, system: sys, local: true, close: func() error {
		node.Close()
		return errors.Join(h.Close(), sys.Close())
	}}
}

// A pipeListener is a listener whose clients are in the same process.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; http.Server calls it once.
func (l *pipeListener) Close() error {
	close(l.done)
	return nil
}

// Addr implements net.Listener.
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
