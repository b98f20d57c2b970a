package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// A Door serves one system on a Unix socket in its data directory, or in its
// warehouse's.
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
// call the services through the socket dbos.sock in the data directory. A
// database behind a network has no such directory: the socket is then in that
// of the warehouse, so that this machine's commands reach the process that
// holds it. Close the door before the system. One door a system is enough; a
// second one takes the first one's place.
func Serve(sys *dbos.System, opts ...Option) (*Door, error) {
	c := newConfig(opts)
	dir, err := doorPlace(context.Background(), sys)
	if err != nil {
		return nil, err
	}
	s, err := listen(dir)
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

// doorPlace returns the directory for the socket.
func doorPlace(ctx context.Context, sys *dbos.System) (string, error) {
	status, err := sys.Status(ctx)
	if err != nil || filepath.IsAbs(status.Location) {
		return status.Location, err
	}
	history, err := sys.History().Status(ctx)
	if err != nil || !filepath.IsAbs(history.Dir) {
		return "", abi.Errorf("server.serve", abi.Unsupported, "database "+status.Location,
			"neither it nor a warehouse is in a directory of this machine, so there is no place for a socket").
			WithHint("mount server.Handler in an HTTP server of your own")
	}
	if err := os.MkdirAll(history.Dir, 0o700); err != nil {
		return "", socketError(history.Dir, err)
	}
	return history.Dir, nil
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
