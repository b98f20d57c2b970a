package payment

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// A Config is what Serve needs.
type Config struct {
	Address  Address
	Ledger   string // path
	Settings Settings
	// Linger is how long the service stays when nobody is attached to it and
	// no request comes. It outlives a shop that was killed by that much, so
	// that the shop finds it again, but is not left behind for ever.
	Linger time.Duration
}

// Serve is the service's process: it answers until ctx ends or nobody has
// needed it for a while. If another process has the ledger open, the error is
// of kind abi.Owned.
func Serve(ctx context.Context, c Config) error {
	ledger, err := OpenLedger(c.Ledger)
	if err != nil {
		return err
	}
	defer ledger.Close()
	service, err := NewService(ledger, c.Ledger, c.Settings)
	if err != nil {
		return err
	}
	listener, err := c.Address.listen()
	if err != nil {
		return err
	}
	// Ending the base context ends the attached requests, which otherwise
	// would hold up the shutdown.
	base, cancel := context.WithCancel(context.Background())
	defer cancel()
	server := &http.Server{
		Handler: service, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return base },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	err = service.wait(ctx, c.Linger, served)
	listener.Close() // before the ledger is let go: the next service makes a socket of its own
	cancel()
	grace, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	shutdown := server.Shutdown(grace)
	if err == nil && !errors.Is(shutdown, context.DeadlineExceeded) && !errors.Is(shutdown, net.ErrClosed) {
		err = shutdown
	}
	return err
}

// wait returns when the service should end.
func (s *Service) wait(ctx context.Context, linger time.Duration, served <-chan error) error {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for {
		idle, changed := s.idle.state()
		if idle {
			timer.Reset(linger)
		} else {
			timer.Stop()
		}
		select {
		case <-changed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return nil
		case err := <-s.ledger.Broken():
			return err
		case err := <-served:
			return abi.Errorf("payment.serve", abi.Unavailable, "", "%w", err)
		}
	}
}
