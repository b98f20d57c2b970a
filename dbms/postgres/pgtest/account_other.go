//go:build !unix

package pgtest

import (
	"errors"
	"os/exec"
)

// An account is who runs the server: this process's own.
type account struct{}

func serverAccount() (account, error) {
	return account{}, failure("account", errors.New("temporary servers need a Unix system"))
}

func (account) apply(*exec.Cmd) {}

func (account) own(string) error { return nil }

// runs cannot tell, so nothing is swept.
func runs(string) bool { return true }
