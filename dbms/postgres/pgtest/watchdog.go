package pgtest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	// parent holds the servers' folders. It is not the folder for temporary
	// files of this process's environment, because the paths of Unix sockets
	// are short and another account must be able to reach them.
	parent = "/tmp"
	prefix = "dbos-pg-"
)

// A watchdog is a process that outlives this one for a moment: when its input
// ends, which it does when this process ends in any way, it stops the server and
// removes the folder. In a session of its own it does not get the signals of
// a terminal. It finds the server, or the pooler, by a file in the folder.
type watchdog struct {
	input io.WriteCloser
	ended chan struct{}
	dir   string
}

// watchScript waits for the end of its input. A postmaster that does not obey
// takes its children with it: they see that it has gone.
const watchScript = `
read -r nothing
pid=$(cat "$1/data/postmaster.pid" "$1/pid" 2>/dev/null | head -n 1)
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
	tries=0
	while kill -0 "$pid" 2>/dev/null; do
		tries=$((tries + 1))
		[ $tries -eq 100 ] && kill -KILL "$pid"
		sleep 0.1
	done
fi
rm -rf "$1"
`

// watch gives a folder to an account and starts its watchdog.
func watch(dir string, a account) (*watchdog, error) {
	if err := a.own(dir); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", watchScript, "watchdog", dir)
	cmd.Dir = "/"
	a.apply(cmd)
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &watchdog{input, make(chan struct{}), dir}
	go func() {
		// As long as this waits, cmd and so its input are not collected.
		cmd.Wait() // its status is that of rm
		close(w.ended)
	}()
	return w, nil
}

// stop makes the watchdog do its work now.
func (w *watchdog) stop() error {
	w.input.Close()
	<-w.ended
	if err := os.RemoveAll(w.dir); err != nil {
		return failure("remove "+w.dir, err)
	}
	return nil
}

// staleAfter is when a folder without a running server counts as left behind.
const staleAfter = 15 * time.Minute

// sweep removes what is left of servers whose watchdog has died too, as in a
// container that was killed. A folder is in use if its postmaster runs, or if it
// is so new that one may be about to.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(parent, prefix+"*"))
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		if !inUse(dir) {
			os.RemoveAll(dir)
		}
	}
}

// inUse reports whether a server or a pooler runs in a folder.
func inUse(dir string) bool {
	for _, name := range []string{"data/postmaster.pid", "pid"} {
		pid, err := os.ReadFile(filepath.Join(dir, name))
		first, _, _ := strings.Cut(string(pid), "\n")
		if err == nil && runs(first) {
			return true
		}
	}
	return false
}
