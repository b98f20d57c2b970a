package pgwire

import (
	"errors"
	"net"
	"os"
	"time"
)

// A clientConn is a connection to a client that notices while a statement runs
// that the client has gone, and that does not wait for ever for one that takes nothing.
type clientConn struct {
	net.Conn
	write time.Duration
	// first is a byte that was read while watching, and failed how a read
	// ended then.
	first  []byte
	failed error
	// broken says that a message was cut off: nothing may follow it.
	broken error
}

// aLongTimeAgo ends a read that is under way.
var aLongTimeAgo = time.Unix(1, 0)

func (c *clientConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	if c.failed != nil {
		return 0, c.failed
	}
	return c.Conn.Read(p)
}

func (c *clientConn) Write(p []byte) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.broken = err
	return n, err
}

// watch calls gone if the client hangs up before stop is called. Nothing may
// read in between.
func (c *clientConn) watch(gone func()) (stop func()) {
	if len(c.first) > 0 || c.failed != nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b [1]byte
		n, err := c.Conn.Read(b[:])
		c.first = append(c.first[:0], b[:n]...)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			c.failed = err
			gone()
		}
	}()
	return func() {
		c.Conn.SetReadDeadline(aLongTimeAgo)
		<-done
		c.Conn.SetReadDeadline(time.Time{})
	}
}
