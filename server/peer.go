package server

import (
	"context"
	"net"
	"os/user"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// withPeer records who is calling, for all calls of a connection. It hangs up
// on a peer that the kernel cannot name.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return ctx
	}
	who, err := peer(unix)
	if err != nil {
		conn.Close()
		return ctx
	}
	return dbos.WithPrincipal(ctx, who)
}

// osUser returns the principal of a user of the operating system: "os:ada",
// or "os:1000" if the ID has no name.
func osUser(id string) abi.Principal {
	if u, err := user.LookupId(id); err == nil {
		return abi.Principal("os:" + u.Username)
	}
	return abi.Principal("os:" + id)
}
