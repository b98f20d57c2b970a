package prov

import "github.com/dbos-go/dbos/abi"

func notYet(op string) error {
	return abi.Errorf(op, abi.Unsupported, "", "this build does not have it yet")
}
