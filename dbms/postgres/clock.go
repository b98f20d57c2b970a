package postgres

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/kernel"
)

// serverClock shows the server's time without asking for it: the server's
// reading at one moment plus what the process's monotonic clock has measured
// since. Setting the host's clock does not change it.
type serverClock struct {
	at atomic.Pointer[reading]
}

// A reading is that it was server's time when the host's clock showed host.
type reading struct{ host, server time.Time }

func (c *serverClock) now() time.Time {
	r := c.at.Load()
	return r.server.Add(time.Since(r.host))
}

const (
	readServerClock = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
	lastCommit      = "SELECT coalesce(max(lsn), 0), coalesce((SELECT at FROM dbos_transaction ORDER BY lsn DESC LIMIT 1), 0) FROM dbos_transaction"
	clockSamples    = 3
	// maintainEvery is how often the clock is set anew and other nodes are
	// told of this one.
	maintainEvery = 5 * time.Second
)

// read asks the server for its time, and takes the answer that came fastest:
// it is off by at most half of its round trip.
func (c *serverClock) read(ctx context.Context, sql executor) error {
	var best time.Duration
	var found *reading
	for range clockSamples {
		before := time.Now()
		rows, err := sql.query(ctx, readServerClock)
		if err != nil {
			return err
		}
		trip := time.Since(before)
		if found == nil || trip < best {
			best = trip
			found = &reading{before.Add(trip / 2), time.UnixMicro(rows[0][0].(int64))}
		}
	}
	c.at.Store(found)
	return nil
}

// startClock makes the clock, which continues where the last commit was.
func (db *DB) startClock(ctx context.Context) error {
	rows, err := plainSQL{db}.query(ctx, lastCommit)
	if err != nil {
		return err
	}
	db.advance(dbms.LSN(rows[0][0].(int64)))
	floor := time.UnixMicro(rows[0][1].(int64))
	if db.options.Now != nil {
		db.clock = kernel.NewClock(db.options.Now, floor)
		return nil
	}
	if err := db.server.read(ctx, plainSQL{db}); err != nil {
		return err
	}
	db.clock = kernel.NewClock(db.server.now, floor)
	return nil
}

// Now implements dbms.Gatherer.
func (db *DB) Now() time.Time { return db.clock.Now() }

// maintain keeps the clock right and this node known.
func (db *DB) maintain() {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		select {
		case <-db.background.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(db.background, maintainEvery)
		if db.options.Now == nil {
			_ = db.server.read(ctx, plainSQL{db}) // the next time, or never while it is away
		}
		if db.capture == captureLogical {
			_ = db.readLag(ctx)
		}
		cancel()
		db.wakeups.here()
	}
}
