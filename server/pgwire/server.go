package pgwire

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// An Endpoint serves a source on a TCP address of this machine.
type Endpoint struct {
	source   Source
	config   config
	listener net.Listener
	// closing ends when the endpoint begins to close, ending when the time for
	// statements under way is over.
	closing context.Context
	ending  context.Context
	close   context.CancelFunc
	end     context.CancelFunc
	closed  func() error
	clients sync.WaitGroup

	mu       sync.Mutex
	sessions map[uint32]*session // by process ID, as the protocol calls it
}

// Serve opens an endpoint on an address such as "127.0.0.1:5433"; port 0 takes
// a free one. From its return on clients are served, until Close. The address must be of
// the loopback interface: the protocol is spoken in clear text.
func Serve(source Source, addr string, opts ...Option) (*Endpoint, error) {
	if err := checkAddress(addr); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, abi.Errorf("pgwire.serve", abi.Unavailable, "address "+addr, "%w", err).
			WithHint("choose another port, or stop what uses this one")
	}
	e := &Endpoint{source: source, config: newConfig(opts), listener: l, sessions: map[uint32]*session{}}
	e.closing, e.close = context.WithCancel(context.Background())
	e.ending, e.end = context.WithCancel(context.Background())
	e.closed = sync.OnceValue(e.shut)
	e.clients.Go(e.accept)
	return e, nil
}

// checkAddress refuses what other machines could reach.
func checkAddress(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return abi.Errorf("pgwire.serve", abi.Invalid, "address "+addr, "%w", err).
			WithHint("write HOST:PORT, such as 127.0.0.1:5433")
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return abi.Errorf("pgwire.serve", abi.Denied, "address "+addr, "other machines could reach it, and this protocol is spoken in clear text").
		WithHint("serve on 127.0.0.1 and let others come through an SSH tunnel: ssh -L 5433:127.0.0.1:5433 HOST")
}

// Addr is the address that clients connect to.
func (e *Endpoint) Addr() string { return e.listener.Addr().String() }

// Close refuses new clients, hangs up on those that are idle, lets statements
// finish (see Drain), and then ends them. It may be called more than once.
func (e *Endpoint) Close() error { return e.closed() }

func (e *Endpoint) shut() error {
	e.close()
	err := e.listener.Close()
	gone := make(chan struct{})
	go func() { e.clients.Wait(); close(gone) }()
	timer := time.NewTimer(e.config.drain)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C:
	}
	e.end()
	<-gone
	return err
}

// accept takes clients until the listener closes.
func (e *Endpoint) accept() {
	for {
		conn, err := e.listener.Accept()
		switch {
		case err == nil:
			e.clients.Go(func() { e.serve(conn) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // no file descriptors, for example
			e.config.log.Warn("a client could not be accepted", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-e.closing.Done():
				return
			}
		}
	}
}

// enter gives a session its number and secret. It fails if there are too many.
func (e *Endpoint) enter(s *session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.sessions) >= e.config.connections {
		return false
	}
	for s.pid == 0 || e.sessions[s.pid] != nil {
		s.pid = rand.Uint32() >> 1 // clients read it as a signed number
	}
	s.secret = binary.BigEndian.AppendUint32(nil, rand.Uint32())
	e.sessions[s.pid] = s
	return true
}

func (e *Endpoint) leave(s *session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.pid)
}

// cancel ends what the session with a number does now, if the secret is its
// own. Who asks learns nothing.
func (e *Endpoint) cancel(pid uint32, secret []byte) {
	e.mu.Lock()
	s := e.sessions[pid]
	e.mu.Unlock()
	if s != nil && subtle.ConstantTimeCompare(s.secret, secret) == 1 {
		s.interrupt(errCanceled)
	}
}
