package pgtest

import (
	"net/url"
	"os"
	"sync"

	"github.com/dbos-go/dbos/abi"
)

// serverEnv has the URL of the server on which tests run. A developer sets it
// to use a server of his own; Shared sets it for this process's children.
const serverEnv = "DBOS_TEST_POSTGRES"

// Shared returns the server that all tests of this process share. The first
// call starts it; Kill and what else would harm the others is refused.
func Shared() (*Server, error) { return shared() }

var shared = sync.OnceValues(func() (*Server, error) {
	if text := os.Getenv(serverEnv); text != "" {
		base, err := url.Parse(text)
		if err != nil || base.Scheme != "postgres" && base.Scheme != "postgresql" {
			return nil, abi.Errorf("pgtest.shared", abi.Invalid, serverEnv, "it is not a URL like postgres://user@host/database")
		}
		return &Server{base: base, shared: true}, nil
	}
	s, err := Start()
	if err != nil {
		return nil, err
	}
	s.shared = true
	return s, os.Setenv(serverEnv, s.base.String())
})
