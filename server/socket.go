package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/dbos-go/dbos/abi"
)

// SocketName is the name of the door's Unix socket in its directory.
const SocketName = "dbos.sock"

// A socket is a listening Unix socket in a data directory.
type socket struct {
	*net.UnixListener
	path string
	info os.FileInfo // of the socket's file, to know it again
}

// listen makes the directory's socket, readable and writable by its owner
// only, in place of one that a killed owner left. The caller owns the
// directory.
//
// The socket is bound in a private directory, restricted, and then moved to
// its name, so that at no instant anybody else can connect, and a client finds
// either a socket that answers or none.
func listen(dir string) (*socket, error) {
	private := filepath.Join(dir, SocketName+".new")
	if err := os.RemoveAll(private); err != nil {
		return nil, socketError(dir, err)
	}
	if err := os.Mkdir(private, 0o700); err != nil {
		return nil, socketError(dir, err)
	}
	defer os.RemoveAll(private)
	listener, err := bind(private)
	if err != nil {
		return nil, socketError(dir, err)
	}
	s := &socket{UnixListener: listener, path: filepath.Join(dir, SocketName)}
	if err := s.publish(filepath.Join(private, SocketName)); err != nil {
		listener.Close()
		return nil, socketError(dir, err)
	}
	return s, nil
}

// bind listens on a socket in dir. The kernel takes paths of at most 107
// bytes, so dir is named by a file descriptor.
func bind(dir string) (*net.UnixListener, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	path := filepath.Join(dir, SocketName)
	if len(path) > 100 {
		path = fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), SocketName)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // its name changes
	return listener, nil
}

// publish moves the bound socket to its name.
func (s *socket) publish(bound string) error {
	if err := os.Chmod(bound, 0o600); err != nil {
		return err
	}
	info, err := os.Lstat(bound)
	if err != nil {
		return err
	}
	s.info = info
	return os.Rename(bound, s.path)
}

// unpublish removes the socket's file, unless it is already another's.
func (s *socket) unpublish() error {
	info, err := os.Lstat(s.path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, s.info) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(s.path)
}

func socketError(dir string, err error) error {
	return abi.Errorf("server.listen", abi.Unavailable, "socket in directory "+dir, "%w", err).
		WithHint("the door needs a directory that this user can write, on a file system with Unix sockets")
}
