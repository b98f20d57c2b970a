package postgres_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// A relay stands between the engine and a server on the loopback interface.
// It reads the protocol's messages and can cut a connection at any of them, or
// let nothing through for a while.
type relay struct {
	server   string
	listener net.Listener

	mu      sync.Mutex
	open    map[*relayed]struct{}
	flowing chan struct{} // closed while bytes flow
	judge   func(*relayed, message) verdict
	all     sync.WaitGroup
}

// A message is one of the protocol's messages on its way.
type message struct {
	fromServer bool
	kind       byte // 0 for a client's first message
	raw        []byte
}

// A verdict is what the relay does with a message.
type verdict int

const (
	pass      verdict = iota
	cutBefore         // end the connection, without the message
	cutWithin         // end the connection after half of the message
	cutAfter          // end the connection after the message
	hold              // let nothing through from this message on: see stall
)

// A relayed is one connection through the relay.
type relayed struct {
	relay          *relay
	client, server net.Conn
	marked         bool // for judges: this is the connection that is looked for
	seen           int  // for judges: messages since then
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	flowing := make(chan struct{})
	close(flowing)
	r := &relay{server: server, listener: l, open: map[*relayed]struct{}{}, flowing: flowing}
	r.all.Go(r.accept)
	t.Cleanup(func() {
		l.Close()
		r.resume()
		r.cut()
		r.all.Wait()
	})
	return r
}

// behind returns a server and a relay before it.
func behind(t *testing.T, options ...pgtest.Option) (*pgtest.Server, *relay) {
	t.Helper()
	s := startServer(t, append(options, pgtest.Loopback())...)
	return s, newRelay(t, s.Addr())
}

// startServer starts a server for one test, which may harm it.
func startServer(t *testing.T, options ...pgtest.Option) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(options...)
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Log())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.all.Go(func() { r.serve(client) })
	}
}

func (r *relay) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		return // as if nobody listened
	}
	c := &relayed{relay: r, client: client, server: server}
	r.mu.Lock()
	r.open[c] = struct{}{}
	r.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.copy(server, client, false) })
	both.Go(func() { c.copy(client, server, true) })
	both.Wait()
	r.mu.Lock()
	delete(r.open, c)
	r.mu.Unlock()
}

// copy passes messages on until the connection ends.
func (c *relayed) copy(to, from net.Conn, fromServer bool) {
	defer c.end()
	first := !fromServer
	for {
		m, err := readMessage(from, first)
		if err != nil {
			return
		}
		first, m.fromServer = false, fromServer
		<-c.relay.flow()
		v := c.relay.rule(c, m)
		switch v {
		case hold:
			c.relay.stall()
			<-c.relay.flow()
			v = pass
		case cutBefore:
			return
		case cutWithin:
			m.raw = m.raw[:len(m.raw)/2]
		}
		if _, err := to.Write(m.raw); err != nil || v != pass {
			return
		}
	}
}

// end closes both sides.
func (c *relayed) end() {
	c.client.Close()
	c.server.Close()
}

// readMessage reads a kind (which a client's first message does not have), a
// length that counts itself, and the rest.
func readMessage(from io.Reader, first bool) (message, error) {
	head := make([]byte, 5)
	if first {
		head = head[:4]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return message{}, err
	}
	n := int(binary.BigEndian.Uint32(head[len(head)-4:])) - 4
	if n < 0 || n > 1<<30 {
		return message{}, errors.New("no message of the protocol")
	}
	m := message{raw: append(head, make([]byte, n)...)}
	if !first {
		m.kind = head[0]
	}
	_, err := io.ReadFull(from, m.raw[len(head):])
	return m, err
}

func (r *relay) flow() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flowing
}

func (r *relay) rule(c *relayed, m message) verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.judge == nil {
		return pass
	}
	return r.judge(c, m)
}

// judging sets what decides about messages; nil lets all through. It is called
// with one message at a time.
func (r *relay) judging(judge func(*relayed, message) verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judge = judge
	for c := range r.open {
		c.marked, c.seen = false, 0
	}
}

// stall stops all bytes while connections stay, and resume lets them flow.
func (r *relay) stall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flowing = make(chan struct{})
}

func (r *relay) resume() {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.flowing:
	default:
		close(r.flowing)
	}
}

// cut ends all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		c.end()
	}
}
