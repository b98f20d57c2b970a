// Command restore measures how long it takes to put a table back as it was at a
// moment: a table of many rows of which most were changed since, some removed and
// some new. It says how long the restore was alone with the table, how long the plan took that a
// person reads before, and whether the table is exactly what it was, by a hash over all
// its rows.
//
//	cd bench && go run ./restore -rows 100000
//	cd bench && go run ./restore
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

type settings struct {
	Rows    int    `json:"rows"`
	Changed int    `json:"changed_percent"`
	Rounds  int    `json:"rounds"`
	URL     string `json:"-"`
	dir     string
	json    bool
}

func main() {
	var s settings
	flag.IntVar(&s.Rows, "rows", 1_000_000, "rows of the table, at least 100")
	flag.IntVar(&s.Changed, "changed", 70, "percent of the rows that are changed, removed or new, at least 10")
	flag.IntVar(&s.Rounds, "rounds", 3, "how often")
	flag.StringVar(&s.URL, "url", "", "database; a new directory if empty")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the data directories")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of Markdown")
	flag.Parse()
	if err := run(context.Background(), s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "restore:", err)
		os.Exit(1)
	}
}

// A round is one restore of everything that the round has changed.
type round struct {
	Changed int64         `json:"changed"`
	Removed int64         `json:"removed"`
	Back    int64         `json:"back"`
	Spool   time.Duration `json:"spool_ns"` // the changes into the warehouse
	Plan    time.Duration `json:"plan_ns"`
	Whole   time.Duration `json:"restore_ns"`
	Alone   time.Duration `json:"alone_ns"` // of it with the table for itself
	Exact   bool          `json:"exact"`
}

type report struct {
	Machine  measure.Machine `json:"machine"`
	Settings settings        `json:"settings"`
	Hash     string          `json:"hash"`
	Rounds   []round         `json:"rounds"`
}

func run(ctx context.Context, s settings, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "dbos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url := s.URL
	if url == "" {
		url = "file:" + dir + "/data"
	}
	sys, err := dbos.Open(ctx, url, dbos.TransactionTimeout(time.Hour), dbos.Warehouse(dir+"/history"))
	if err != nil {
		return err
	}
	b := &bench{settings: s, sys: sys}
	r := report{Machine: measure.Inspect(dir), Settings: s}
	if err = b.fill(ctx); err == nil {
		r.Hash, err = b.hash(ctx)
	}
	for n := 0; err == nil && n < s.Rounds; n++ {
		var one round
		one, err = b.round(ctx, r.Hash)
		r.Rounds = append(r.Rounds, one)
	}
	if e := sys.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if s.json {
		return measure.WriteJSON(w, r)
	}
	r.print(w)
	return nil
}

type bench struct {
	settings
	sys *dbos.System
}

func (b *bench) update(ctx context.Context, statements ...string) error {
	return b.sys.Update(ctx, "bench.change", func(tx *dbos.Tx) error {
		for _, s := range statements {
			if _, err := tx.Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// fill makes the table.
func (b *bench) fill(ctx context.Context) error {
	return b.update(ctx,
		"CREATE TABLE account (id BIGINT PRIMARY KEY, owner TEXT NOT NULL, balance BIGINT NOT NULL, note TEXT, changed BIGINT)",
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO account SELECT i, 'owner ' || i, i * 7, 'note of ' || i, i FROM n`, b.Rows))
}

// hash is that of all rows in order.
func (b *bench) hash(ctx context.Context) (string, error) {
	h := sha256.New()
	err := b.sys.View(ctx, func(tx *dbos.Tx) error {
		h.Reset()
		rows, err := tx.Query("SELECT id, owner, balance, note, changed FROM account ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		var v [5]any
		for rows.Next() {
			if err := rows.Scan(&v[0], &v[1], &v[2], &v[3], &v[4]); err != nil {
				return err
			}
			fmt.Fprintf(h, "%#v\n", v)
		}
		return rows.Err()
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// round changes the table, and puts it back.
func (b *bench) round(ctx context.Context, hash string) (r round, err error) {
	history := b.sys.History()
	if err := history.Flush(ctx); err != nil {
		return r, err
	}
	then, err := history.Moment(ctx, "now")
	if err != nil {
		return r, err
	}
	// A twentieth is removed and as much is new; the rest of the share is changed.
	err = b.update(ctx, fmt.Sprintf("UPDATE account SET balance = balance + 1, note = 'changed ' || id WHERE id %% 100 < %d", b.Changed-10),
		"DELETE FROM account WHERE id % 100 >= 95",
		fmt.Sprintf("INSERT INTO account SELECT id + %d, owner, balance, note, changed FROM account WHERE id %% 100 >= 90", b.Rows))
	if err != nil {
		return r, err
	}
	lap := time.Now()
	took := func() time.Duration { d := time.Since(lap); lap = time.Now(); return d }
	if err := history.Flush(ctx); err != nil {
		return r, err
	}
	r.Spool = took()
	o := dbos.RestoreOptions{To: fmt.Sprint(int64(then.LSN)), Tables: []string{"account"}}
	if _, err := history.PlanRestore(ctx, o); err != nil {
		return r, err
	}
	r.Plan = took()
	plan, err := history.Restore(ctx, o)
	if err != nil {
		return r, err
	}
	r.Whole, r.Alone = took(), plan.Took
	for _, t := range plan.Tables {
		r.Changed, r.Removed, r.Back = t.Changed, t.Removed, t.Back
	}
	now, err := b.hash(ctx)
	r.Exact = now == hash
	return r, err
}

func (r *report) print(w io.Writer) {
	r.Machine.Print(w)
	table := measure.Table{Header: []string{"rows", "changed back", "brought back", "removed", "spool", "plan", "restore", "of it alone", "exact"}}
	for _, one := range r.Rounds {
		table.Add(measure.Count(float64(r.Settings.Rows)), measure.Count(float64(one.Changed)), measure.Count(float64(one.Back)), measure.Count(float64(one.Removed)),
			measure.Duration(one.Spool), measure.Duration(one.Plan), measure.Duration(one.Whole), measure.Duration(one.Alone), fmt.Sprint(one.Exact))
	}
	table.Print(w)
}
