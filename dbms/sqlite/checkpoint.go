package sqlite

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

const (
	// checkpointBytes of write-ahead log start a checkpoint in the
	// background.
	checkpointBytes = 8 << 20
	// maxWALBytes of write-ahead log make the writer finish the checkpoint
	// itself. While it does, nothing is appended, so that the log can start
	// again from its beginning.
	maxWALBytes = 64 << 20
	// checkpointEvery so many commits somebody looks at the log's size.
	checkpointEvery = 32
)

// A checkpointer copies the write-ahead log into the database file. It does
// most of that on a connection of its own, beside the writer, because a
// checkpoint syncs a file and a commit must not wait for it.
type checkpointer struct {
	conn    *conn
	path    string
	wake    chan struct{}
	full    atomic.Bool // the log is over maxWALBytes
	stopped sync.WaitGroup
	commits int // since the last look; the writer's
}

func startCheckpointer(dir string) (*checkpointer, error) {
	c, err := openConn(dir, "wal_autocheckpoint=0", "synchronous=FULL")
	if err != nil {
		return nil, err
	}
	p := &checkpointer{conn: c, path: filepath.Join(dir, "dbos.db-wal"), wake: make(chan struct{}, 1)}
	p.stopped.Go(p.run)
	return p, nil
}

func (p *checkpointer) run() {
	for range p.wake {
		if p.size() < checkpointBytes {
			continue
		}
		if err := p.conn.script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			slog.Warn("checkpoint failed", "error", err)
		}
		p.full.Store(p.size() > maxWALBytes)
	}
}

// afterCommit is called by the writer after each commit.
func (p *checkpointer) afterCommit(w *writer) {
	if p.full.CompareAndSwap(true, false) {
		if err := w.conn.script("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
			slog.Warn("checkpoint failed", "error", err)
		}
	}
	if p.commits++; p.commits < checkpointEvery {
		return
	}
	p.commits = 0
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *checkpointer) size() int64 {
	info, err := os.Stat(p.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// close stops the checkpointer; the writer must have stopped before.
func (p *checkpointer) close() error {
	close(p.wake)
	p.stopped.Wait()
	return p.conn.close()
}
