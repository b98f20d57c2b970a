package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// batch is how many runs one transaction inserts.
const batch = 20_000

// taskFill inserts finished runs n = $1+1 … $2, at time $3.
var taskFill = dbms.System(`
WITH RECURSIVE run (n) AS (SELECT $1 + 1 UNION ALL SELECT n + 1 FROM run WHERE n < $2)
INSERT INTO sched_task (id, name, queue, state, priority, codec, input, output, principal, version, epoch, attempt,
	created_at, started_at, finished_at)
SELECT printf('0198c3a2-7c1e-7000-8000-%012d', n), 'old', '', 'succeeded', 0, 'json', '{"order":"order-1"}', '{"total":4200}',
	'user:ada', '1', 1, 1, $3, $3, $3 FROM run`)

// stepFill inserts one journal row for each of these runs.
var stepFill = dbms.System(`
WITH RECURSIVE run (n) AS (SELECT $1 + 1 UNION ALL SELECT n + 1 FROM run WHERE n < $2)
INSERT INTO wf_step (execution, seq, kind, name, output, attempts, started_at, finished_at)
SELECT printf('0198c3a2-7c1e-7000-8000-%012d', n), 1, 'step', 'charge', '{"charge":"ch_1"}', 1, $3, $3 FROM run`)

// fill makes the data directory and its finished runs, through the engine, so
// that they have their history like any others.
func fill(ctx context.Context, dir string, finished int) error {
	sys, err := dbos.Open(ctx, dir, dbos.App("bench")) // makes the tables
	if err != nil {
		return err
	}
	if err := sys.Close(); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, dir, dbms.Options{Durability: dbms.Async})
	if err != nil {
		return err
	}
	call := abi.Call{Procedure: "bench.fill", Principal: "bench"}
	for from := 0; from < finished && err == nil; from += batch {
		to := min(from+batch, finished)
		_, err = db.Update(ctx, call, func(tx dbms.Tx) error {
			for _, q := range []*dbms.Query{taskFill, stepFill} {
				if _, err := tx.Exec(q, from, to, tx.Now()); err != nil {
					return err
				}
			}
			return nil
		})
		fmt.Fprintf(os.Stderr, "\rfinished runs: %d of %d", to, finished)
	}
	fmt.Fprintln(os.Stderr)
	return errors.Join(err, db.Close())
}
