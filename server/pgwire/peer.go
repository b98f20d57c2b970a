package pgwire

import (
	"os/user"

	"github.com/dbos-go/dbos/abi"
)

// A peer is who runs a client.
type peer struct {
	principal abi.Principal // "os:ada"
	self      bool          // it is who runs this process
}

// osUser returns the principal of a user of the operating system: "os:ada",
// or "os:1000" if the ID has no name.
func osUser(id string) abi.Principal {
	if u, err := user.LookupId(id); err == nil {
		return abi.Principal("os:" + u.Username)
	}
	return abi.Principal("os:" + id)
}
