package payment

import (
	"context"
	"net"
	"os"
	"strings"

	"github.com/dbos-go/dbos/abi"
)

// maxSocketPath is what the kernel takes as the path of a Unix socket.
const maxSocketPath = 107

// An Address is where a service listens: "unix:PATH", or "HOST:PORT".
type Address string

// Check refuses an address that nothing can listen on with abi.Invalid.
func (a Address) Check() error {
	network, at := a.split()
	if network == "unix" {
		if len(at) > maxSocketPath {
			return abi.Errorf("payment.address", abi.Invalid, "address "+string(a), "a socket's path has at most %d bytes, this one %d", maxSocketPath, len(at)).
				WithHint("use a data directory with a shorter path, or let the service listen on a port: -payment 127.0.0.1:8081")
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(at); err != nil {
		return abi.Errorf("payment.address", abi.Invalid, "address "+string(a), "%w", err).
			WithHint("write unix:PATH or HOST:PORT")
	}
	return nil
}

func (a Address) split() (network, at string) {
	if path, ok := strings.CutPrefix(string(a), "unix:"); ok {
		return "unix", path
	}
	return "tcp", string(a)
}

func (a Address) dial(ctx context.Context) (net.Conn, error) {
	network, at := a.split()
	var d net.Dialer
	return d.DialContext(ctx, network, at)
}

// listen replaces the socket that a killed service left. The caller holds the
// ledger, so no other service of that ledger listens.
func (a Address) listen() (net.Listener, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	network, at := a.split()
	if network == "unix" {
		os.Remove(at)
	}
	l, err := net.Listen(network, at)
	if err != nil {
		return nil, abi.Errorf("payment.listen", abi.Unavailable, "address "+string(a), "%w", err)
	}
	if network == "unix" {
		err = os.Chmod(at, 0o600)
	}
	if err != nil {
		l.Close()
		return nil, abi.Errorf("payment.listen", abi.Unavailable, "address "+string(a), "%w", err)
	}
	return l, nil
}
