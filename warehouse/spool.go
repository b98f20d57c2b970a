//go:build cgo

package warehouse

import (
	"context"
	"errors"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// How much is read from the engine before it is put into the store. More makes the store faster, and
// the memory greater that it takes.
const (
	batchChanges = 100_000
	batchBytes   = 64 << 20
)

// Spool reads the database's history from where the last Spool ended until it has
// the commit upto, or, if upto is 0, until there is no more, and returns what
// it has then. What was read is durable when it returns, and nothing is ever read
// twice: the position is part of the transaction that adds it.
//
// A new warehouse of a database whose history does not go back to its
// beginning starts with a snapshot of all tables. So does one whose position the database
// has trimmed; the gap is recorded, and moments within it are refused.
//
// The memory it takes is bounded, apart from a single transaction, which is read whole.
func (w *Warehouse) Spool(ctx context.Context, db dbms.DB, upto dbms.LSN) (dbms.LSN, error) {
	const op = "warehouse.spool"
	if err := w.take(ctx, op); err != nil {
		return 0, err
	}
	defer w.give()
	if st, _ := w.now(); st.Begun && st.Position.LSN >= upto && upto > 0 {
		return st.Position.LSN, nil
	}
	start := time.Now()
	if err := w.begin(ctx, db); err != nil {
		return 0, err
	}
	changes, err := w.follow(ctx, db, upto)
	if errors.Is(err, abi.Trimmed) {
		if err = w.base(ctx, db); err == nil {
			var more int64
			more, err = w.follow(ctx, db, upto)
			changes += more
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if changes > 0 {
		w.spooled = spooled{at: w.o.Now(), took: time.Since(start), changes: changes}
	}
	return w.state.Position.LSN, err
}

// begin makes a new warehouse that of the database.
func (w *Warehouse) begin(ctx context.Context, db dbms.DB) error {
	engine := db.Status().Engine
	st, _ := w.now()
	if st.Begun {
		if st.Engine != engine {
			return abi.Errorf("warehouse.spool", abi.Invalid, "database", "it is of engine %s, the warehouse is of one of %s", engine, st.Engine).
				WithHint("give each database a warehouse directory of its own")
		}
		return nil
	}
	if err := w.transact(ctx, func() error {
		_, err := w.writer.exec(ctx, `UPDATE warehouse.state SET value = $1 WHERE key = 'engine'`, engine)
		return err
	}); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Engine, w.state.Begun = engine, true
	w.catalog = newCatalog(engine)
	return nil
}

// A reading is what was read from the engine at once.
type reading struct {
	commits []dbms.Commit
	err     error
}

// follow spools until it has upto or there is no more, and returns how many
// changes that were. The next batch is read while one is put into the store.
func (w *Warehouse) follow(ctx context.Context, db dbms.DB, upto dbms.LSN) (changes int64, err error) {
	st, _ := w.now()
	reading := make(chan reading)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go read(ctx, db, st.Position.LSN, upto, reading)
	for r := range reading {
		if r.err != nil {
			return changes, r.err
		}
		n, err := w.apply(ctx, r.commits)
		if err != nil {
			return changes, err
		}
		changes += n
		if w.unsealed += n; w.unsealed >= sealChanges {
			if err := w.seal(ctx); err != nil {
				return changes, err
			}
		}
	}
	return changes, ctx.Err()
}

// read sends batches of commits to out, the last with an error if there was one, and
// closes it.
func read(ctx context.Context, db dbms.DB, after, upto dbms.LSN, out chan<- reading) {
	defer close(out)
	limit := 256
	for more := true; more; {
		var batch reading
		for changes, size := 0, int64(0); changes < batchChanges && size < batchBytes && more; {
			commits, err := db.Changes(ctx, after, limit)
			if err != nil {
				batch.err = err
				more = false
				break
			}
			if more = len(commits) > 0; !more {
				break
			}
			after = commits[len(commits)-1].LSN
			more = upto == 0 || after < upto
			n, bytes := weigh(commits)
			changes, size = changes+n, size+bytes
			batch.commits = append(batch.commits, commits...)
			limit = nextLimit(limit, n, bytes)
		}
		if len(batch.commits) > 0 {
			failed := batch.err
			batch.err = nil
			if !send(ctx, out, batch) {
				return
			}
			batch.err = failed
		}
		if batch.err != nil {
			send(ctx, out, reading{err: batch.err})
			return
		}
	}
}

func send(ctx context.Context, out chan<- reading, r reading) bool {
	select {
	case out <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

// nextLimit chooses how many commits to ask for, so that an answer is about a
// quarter of a batch.
func nextLimit(limit, changes int, size int64) int {
	if changes < batchChanges/8 && size < batchBytes/8 {
		return min(limit*2, dbms.MaxBatch)
	}
	if changes > batchChanges/2 || size > batchBytes/2 {
		return max(limit/4, 1)
	}
	return limit
}

// weigh returns how many changes there are and about how many bytes they take.
func weigh(commits []dbms.Commit) (changes int, size int64) {
	for i := range commits {
		changes += len(commits[i].Changes)
		for j := range commits[i].Changes {
			row := commits[i].Changes[j].Row
			size += 256 + 32*int64(len(row))
			for _, v := range row {
				switch x := v.(type) {
				case string:
					size += int64(len(x))
				case []byte:
					size += int64(len(x))
				}
			}
		}
	}
	return changes, size
}

// apply puts commits into the store.
func (w *Warehouse) apply(ctx context.Context, commits []dbms.Commit) (int64, error) {
	a := w.newApplier()
	if err := w.transact(ctx, func() error { return a.take(ctx, commits) }); err != nil {
		return 0, err
	}
	a.publish()
	return a.changes, nil
}
