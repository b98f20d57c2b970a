//go:build !linux

package dbmstest

import (
	"errors"
	"os/exec"
)

var errNoMounts = errors.New("mounting a small disk for a test works on Linux only")

func isolate(*exec.Cmd) error { return errNoMounts }

func mountSmallDisk(string) error { return errNoMounts }
