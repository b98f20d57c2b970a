package client

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// socketName is the door's socket in a data directory: server.SocketName.
const socketName = "dbos.sock"

// dialSocket connects to the socket in dir. The kernel takes paths of at most
// 107 bytes, so the directory of a longer one is named by a file descriptor.
func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	path := filepath.Join(dir, socketName)
	if len(path) > 100 {
		d, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socketName)
	}
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", path)
}
