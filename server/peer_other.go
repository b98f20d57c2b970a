//go:build !linux

package server

import (
	"net"
	"os"
	"strconv"

	"github.com/dbos-go/dbos/abi"
)

// peer returns who is at the other end of a Unix socket. Without SO_PEERCRED
// it is inferred: the socket is its owner's alone.
func peer(*net.UnixConn) (abi.Principal, error) {
	return osUser(strconv.Itoa(os.Getuid())), nil
}
