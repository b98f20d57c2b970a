package kernel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// An Owner is the exclusive right of this process to a data directory. It
// ends with Release or with the process, however it ends.
type Owner struct {
	file *os.File
}

// lockName is the file in a data directory that its owner holds locked. Its
// text is the owner's process ID.
const lockName = "dbos.lock"

// Own makes this process the owner of the directory, which is created with
// mode 0700 if it does not exist. If another process, or another Owner in
// this one, has it, the error is of kind abi.Owned and names the process.
func Own(dir string) (*Owner, error) {
	const op = "kernel.own"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, abi.Errorf(op, abi.Invalid, "data directory "+dir, "%w", err).
			WithHint("choose a directory that this user can write")
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, abi.Errorf(op, abi.Invalid, "data directory "+dir, "%w", err).
			WithHint("choose a directory that this user can write")
	}
	if err := lock(f); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, abi.Errorf(op, abi.Unavailable, "data directory "+dir, "lock: %w", err)
		}
		return nil, ownedError(dir, readPID(f))
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, abi.Errorf(op, abi.Unavailable, "data directory "+dir, "%w", err)
	}
	return &Owner{file: f}, nil
}

// lock locks the file for this process alone. It tries for a short while,
// because OwnerPID holds the lock for an instant to ask.
func lock(f *os.File) error {
	deadline := time.Now().Add(100 * time.Millisecond)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func ownedError(dir, pid string) error {
	return abi.Errorf("kernel.own", abi.Owned, "data directory "+dir, "process %s has it open", pid).
		WithHint("stop process %s, talk to it with the dbos command, or use another directory", pid)
}

// OwnerPID returns the process ID of the directory's owner, or 0 if nobody
// owns it. By the time it returns that may have changed.
func OwnerPID(dir string) (int, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, abi.Errorf("kernel.owner", abi.Denied, "data directory "+dir, "%w", err)
	}
	defer f.Close()
	// A shared lock: two processes that ask at once do not see each other.
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
		return 0, nil
	}
	pid := 0
	if _, err := fmt.Sscan(readPID(f), &pid); err != nil {
		return 0, abi.Errorf("kernel.owner", abi.Corrupt, "file "+f.Name(), "it holds no process ID: %w", err)
	}
	return pid, nil
}

func readPID(f *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return pid
	}
	return "(unknown)"
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

// Release gives the directory up.
func (o *Owner) Release() error {
	return o.file.Close()
}
