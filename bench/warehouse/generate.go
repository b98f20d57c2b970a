package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// perCommit is how many changes a generated commit has.
const perCommit = 5

// A generator is a database of which there is only the history, which it makes up: each commit
// changes rows of one table; the first ones insert them, the others update them. Every
// process makes the same.
type generator struct {
	dbms.DB
	tables        []string
	changes, rows int // over all tables
}

var (
	columns = []string{"id", "owner", "balance", "region", "visits", "note"}
	keys    = []string{"id"}
	types   = []string{"INTEGER", "TEXT", "INTEGER", "TEXT", "INTEGER", "TEXT"}
	regions = []string{"north", "east", "south", "west"}
	start   = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
)

func (g *generator) Status() dbms.Status { return dbms.Status{Engine: "sqlite"} }

// commits is how many there are, after the one that defines the table.
func (g *generator) commits() int { return g.changes / perCommit }

// lsnOf is the LSN of the n-th commit, counted from 1; the definition's is 2.
func lsnOf(n int) dbms.LSN { return dbms.LSN(2 + n*(perCommit+1)) }

func (g *generator) Changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	var list []dbms.Commit
	n := 0
	if after < 2 {
		c := dbms.Commit{LSN: 2, Time: start, Call: abi.Call{Procedure: "bench.define", Start: start}}
		for _, name := range g.tables {
			c.Changes = append(c.Changes, dbms.Change{LSN: 1, Table: name, Op: dbms.Define, Columns: columns, Types: types, KeyColumns: keys, Schema: "CREATE TABLE " + name})
		}
		list = append(list, c)
	} else {
		n = int(after-2) / (perCommit + 1)
	}
	for len(list) < limit && n < g.commits() {
		n++
		list = append(list, g.commit(n))
	}
	return list, ctx.Err()
}

// principals is how many there are.
const principals = 1000

// commit makes the n-th commit.
func (g *generator) commit(n int) dbms.Commit {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	at := start.Add(time.Duration(n) * 10 * time.Millisecond)
	c := dbms.Commit{LSN: lsnOf(n), Snapshot: lsnOf(n - 1), Time: at, Changes: make([]dbms.Change, perCommit),
		Call: abi.Call{Procedure: "bench.pay", Principal: abi.Principal(fmt.Sprintf("user:%d", random.IntN(principals))),
			Execution: fmt.Sprintf("order-%d", n/3), Step: n%3 + 1, Node: "bench/1", Start: at}}
	for i := range c.Changes {
		ch := &c.Changes[i]
		*ch = dbms.Change{LSN: lsnOf(n-1) + dbms.LSN(i+1), Table: g.tables[n%len(g.tables)], Op: dbms.Update, Columns: columns, KeyColumns: keys}
		id, rows := (n-1)/len(g.tables)*perCommit+i, g.rows/len(g.tables)
		if id < rows {
			ch.Op = dbms.Insert
		} else {
			// Keys within a commit differ, as those of one order do.
			id = (random.IntN(rows)/perCommit)*perCommit + i
		}
		row := []dbms.Value{int64(id), fmt.Sprintf("owner %d", id%50_000), random.Int64N(1_000_000), regions[id%4], int64(n), nil}
		if random.IntN(4) == 0 {
			row[5] = fmt.Sprintf("paid %d", random.IntN(10_000))
		}
		ch.Row, ch.Key = row, row[:1:1]
	}
	return c
}
