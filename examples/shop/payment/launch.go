package payment

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/dbos-go/dbos/abi"
)

const (
	// startTimeout is how long a service may take until it answers.
	startTimeout = 10 * time.Second
	// restartPause is between the end of a service and the next one's start.
	restartPause = 50 * time.Millisecond
	// ExitOwned is the exit status of a service's process that found another
	// one on its ledger.
	ExitOwned = 75
)

// A Launcher starts the service's process when none answers.
type Launcher struct {
	Client *Client
	// Command is the program and its arguments, which is to call Serve.
	Command []string
	// Settings are what the service is to work by, also one that runs already.
	Settings Settings
	// Log is the path of the file that takes the process's output.
	Log string
}

// Start returns when a service answers, and whether it started that.
func (l *Launcher) Start(ctx context.Context) (h Health, started bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		abi.Errorf("payment.start", abi.Unavailable, "payment service", "it does not answer within %v", startTimeout).
			WithHint("see %s", l.Log))
	defer cancel()
	var process <-chan error // receives how our process ended
	for {
		h, err := l.Client.Health(ctx)
		if err == nil && h.Settings != l.Settings {
			err = l.Client.Set(ctx, l.Settings)
			h.Settings = l.Settings
		}
		if err == nil {
			return h, started, nil
		}
		if !Temporary(err) {
			return Health{}, false, err
		}
		if process == nil {
			if process, err = l.spawn(); err != nil {
				return Health{}, false, err
			}
			started = true
		}
		select {
		case err := <-process:
			// Another shop was faster, and its service will answer; or an ending
			// one still had the ledger; or somebody killed ours: once more.
			// Only if it gave up by itself is it of no use to try again.
			if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() > 0 && exit.ExitCode() != ExitOwned {
				return Health{}, false, l.failed(err)
			}
			process, started = nil, false
		default:
		}
		if err := pause(ctx, restartPause); err != nil {
			return Health{}, false, err
		}
	}
}

// spawn starts the process in a session of its own, so that neither the
// terminal's Ctrl-C nor the shop's death reaches it.
func (l *Launcher) spawn() (<-chan error, error) {
	log, err := os.OpenFile(l.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, startError("%w", err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(l.Command[0], l.Command[1:]...)
	cmd.Dir = filepath.Dir(l.Log)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, startError("%w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, nil
}

// failed reports a process that gave up by itself, with its last words.
func (l *Launcher) failed(err error) error {
	last := []byte("it said nothing")
	if text, readErr := os.ReadFile(l.Log); readErr == nil && len(bytes.TrimSpace(text)) > 0 {
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		last = lines[len(lines)-1]
	}
	return startError("%w: %s", err, last).WithHint("see %s", l.Log)
}

func startError(format string, args ...any) *abi.Error {
	return abi.Errorf("payment.start", abi.Unavailable, "payment service", format, args...)
}

// Keep stays attached to the service and starts it again whenever it ends,
// until ctx does. It reports each change: the service that answers now, or
// the error for which there is none.
func (l *Launcher) Keep(ctx context.Context, report func(Health, error)) {
	for ctx.Err() == nil {
		h, _, err := l.Start(ctx)
		if err == nil {
			err = l.Client.Attach(ctx, func() { report(h, nil) })
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			report(Health{}, err)
		}
		_ = pause(ctx, restartPause)
	}
}
