package server

import (
	"net"
	"strconv"
	"syscall"

	"github.com/dbos-go/dbos/abi"
)

// peer returns who is at the other end of a Unix socket, as the kernel knows
// it.
func peer(conn *net.UnixConn) (abi.Principal, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", err
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return "", err
	}
	return osUser(strconv.FormatUint(uint64(cred.Uid), 10)), nil
}
