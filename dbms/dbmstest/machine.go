package dbmstest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"pgregory.net/rapid"
)

// A machine runs random transactions of random statements and remembers what
// the tables held, to compare it with what Changes says.
type machine struct {
	*database
	engine Engine
	schema schema
	// images are the tables as they were when the LSN was the last one.
	images map[dbms.LSN]image
	// commits are the executions of the transactions that returned nil.
	commits map[dbms.LSN]string
	serial  int
	tally   map[string]int // of statements that changed something and stayed
}

// examineChanges: whatever statements do to tables, replaying Changes from the
// empty database gives the tables, at the end and on the way.
func examineChanges(t *testing.T, e Engine) {
	tally := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatalf("%v", err)
		}
		m := &machine{
			database: reopen(rt, e, dir, dbms.Options{Durability: dbms.Async}), engine: e,
			schema:  newSchema(e.Dialect),
			images:  map[dbms.LSN]image{},
			commits: map[dbms.LSN]string{},
			tally:   tally,
		}
		defer func() {
			m.close()
			os.RemoveAll(dir)
		}()
		m.exec("CREATE TABLE " + logTable + " (what TEXT)")
		m.transact(rt, m.schema.define(rt), false)
		rt.Repeat(map[string]func(*rapid.T){
			"change": m.changeRows,
			"Change": m.changeRows, // twice as often
			"define": m.changeDefinitions,
			"reopen": m.reopen,
		})
		m.look()
		m.replay(rt)
	})
	wantTally(t, tally)
}

// enoughInserts is how many inserts a run has, beside which every other kind
// is bound to occur. On engines behind a network runs are shorter.
const enoughInserts = 600

// wantTally: a run in which some kind of statement never succeeded shows
// nothing about it.
func wantTally(t *testing.T, tally map[string]int) {
	if t.Failed() || testing.Short() || raced || tally["insert"] < enoughInserts {
		return
	}
	for _, kind := range []string{
		"create table", "recreate table", "drop table", "rename table", "add column", "rename column", "drop column",
		"create trigger", "insert", "insert or replace, or ignore", "upsert", "update", "update of a key", "delete", "rolled back",
	} {
		if tally[kind] == 0 {
			t.Errorf("%q never happened; the generator is too weak: %v", kind, tally)
		}
	}
}

func (m *machine) changeRows(t *rapid.T) {
	var commands []command
	for range rapid.IntRange(1, 6).Draw(t, "statements") {
		commands = append(commands, m.schema.change(t))
	}
	m.transact(t, commands, rapid.IntRange(0, 5).Draw(t, "fails") == 0)
}

// changeDefinitions mixes changes of rows and of definitions.
func (m *machine) changeDefinitions(t *rapid.T) {
	before := m.schema
	m.schema = before.clone()
	var commands []command
	for range rapid.IntRange(1, 3).Draw(t, "statements") {
		commands = append(commands, m.schema.change(t))
		commands = append(commands, m.schema.define(t)...)
	}
	if !m.transact(t, commands, rapid.IntRange(0, 5).Draw(t, "fails") == 0) {
		m.schema = before
	}
}

// reopen: what was recorded does not depend on the process that recorded it.
func (m *machine) reopen(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "rarely") != 0 {
		t.Skip("not now")
	}
	m.close()
	*m.database = *reopen(m.t, m.engine, m.dir, dbms.Options{Durability: dbms.Async})
}

// transact runs the commands as one transaction. A change of rows may fail,
// and the transaction goes on; a change of definitions may not.
func (m *machine) transact(t *rapid.T, commands []command, fails bool) bool {
	m.serial++
	call := abi.Call{Procedure: "examiner.changes", Execution: fmt.Sprint(m.serial), Step: 1}
	done := map[string]int{}
	lsn, err := m.Update(context.Background(), call, func(tx dbms.Tx) error {
		clear(done)
		for _, c := range commands {
			n, err := tx.Exec(dbms.SQL(c.sql), c.args...)
			t.Logf("transaction %d: %s: arguments %.200v, %d rows, error %v", m.serial, c.sql, c.args, n, err)
			switch {
			case err != nil && c.ddl:
				return fmt.Errorf("%s: %w", c.sql, err)
			case err == nil && (c.ddl || n > 0):
				done[c.kind]++
			}
		}
		if fails {
			return errBoom
		}
		return nil
	})
	if err != nil {
		m.tally["rolled back"]++
		if err != errBoom {
			t.Logf("transaction %d rolled back: %v", m.serial, err)
		}
		return false
	}
	for kind, n := range done {
		m.tally[kind] += n
	}
	m.commits[lsn] = call.Execution
	if rapid.Bool().Draw(t, "look") {
		m.look()
	}
	return true
}

// look remembers the tables as they are.
func (m *machine) look() {
	m.view(func(tx dbms.Tx) error {
		im, err := readImage(tx, m.schema.columns())
		if err == nil {
			m.images[tx.LSN()] = im
		}
		return err
	})
}

// replay reads Changes in batches of random size and compares.
func (m *machine) replay(t *rapid.T) {
	r := newReplica(m.engine)
	limits := rapid.SampledFrom([]int{1, 2, 7, dbms.MaxBatch})
	for {
		limit := limits.Draw(t, "limit")
		commits, err := m.Changes(context.Background(), r.lsn, limit)
		if err != nil {
			t.Fatalf("changes: %v", err)
		}
		if len(commits) > limit {
			t.Fatalf("Changes gave %d commits, the limit is %d", len(commits), limit)
		}
		for _, c := range commits {
			if err := r.apply(c); err != nil {
				t.Fatalf("%v", err)
			}
			m.compare(t, r, c)
		}
		if len(commits) == 0 {
			break
		}
	}
	if len(m.commits) > 0 || len(m.images) > 0 {
		t.Fatalf("Changes has ended and does not have %v, %d images", m.commits, len(m.images))
	}
}

// compare checks the replica against what was seen at the commit.
func (m *machine) compare(t *rapid.T, r *replica, c dbms.Commit) {
	if c.Call.Procedure == "examiner.changes" {
		if execution, ok := m.commits[c.LSN]; !ok || execution != c.Call.Execution {
			t.Fatalf("commit %d is of transaction %s, which returned LSN %d", c.LSN, c.Call.Execution, c.LSN)
		}
		delete(m.commits, c.LSN)
	}
	if live, ok := m.images[c.LSN]; ok {
		if d := difference(live, r.image()); d != "" {
			t.Fatalf("as of LSN %d: %s", c.LSN, d)
		}
		delete(m.images, c.LSN)
	}
}
