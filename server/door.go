package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// A Door serves one system on its data directory's Unix socket.
type Door struct {
	socket *socket
	http   *http.Server
	drain  time.Duration
	// closing ends the calls that wait.
	closing context.CancelFunc
	served  chan struct{} // closed when the accepting has ended
	close   sync.Once
	err     error // of Close
}

// Serve opens the door of sys: from its return on, processes of this user can
// call the services through the socket dbos.sock in the data directory.
// Close the door before the system. One door a system is enough; a second one
// takes the first one's place.
func Serve(sys *dbos.System, opts ...Option) (*Door, error) {
	c := newConfig(opts)
	status, err := sys.Status(context.Background())
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(status.Location) {
		return nil, abi.Errorf("server.serve", abi.Unsupported, "database "+status.Location,
			"it is not in a directory of this machine, so it has no place for a socket").
			WithHint("mount server.Handler in an HTTP server of your own")
	}
	s, err := listen(status.Location)
	if err != nil {
		return nil, err
	}
	closing, cancel := context.WithCancel(context.Background())
	d := &Door{socket: s, drain: c.drain, closing: cancel, served: make(chan struct{})}
	d.http = &http.Server{
		Handler:           newHandler(sys, c, closing),
		Protocols:         protocols(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(d.served)
		if err := d.http.Serve(s); !errors.Is(err, http.ErrServerClosed) {
			c.log.Error("the door has stopped accepting", "error", err)
		}
	}()
	return d, nil
}

// protocols are HTTP/1.1, for curl, and HTTP/2 without TLS, for Connect and
// gRPC clients.
func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

// Addr returns the path of the socket.
func (d *Door) Addr() string { return d.socket.path }

// Close refuses new calls, ends those that only wait or watch, lets the others
// finish (see Drain) and then cuts them off. It may be called more than once.
func (d *Door) Close() error {
	d.close.Do(func() { d.err = d.shut() })
	return d.err
}

func (d *Door) shut() error {
	unpublished := d.socket.unpublish()
	d.closing()
	ctx, cancel := context.WithTimeout(context.Background(), d.drain)
	defer cancel()
	err := d.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.http.Close()
	}
	<-d.served
	return errors.Join(err, unpublished)
}
