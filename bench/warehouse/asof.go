package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// asOf is what was measured over many changes.
type asOf struct {
	Spool   ingest        `json:"spool"`
	Times   []timing      `json:"times"`
	Diff    timing        `json:"diff"`
	Seal    time.Duration `json:"seal_ns"`
	Rebuild time.Duration `json:"rebuild_ns"`
}

// A timing is how long one question took.
type timing struct {
	Question string        `json:"question"`
	Took     time.Duration `json:"took_ns"` // median
	Answer   string        `json:"answer"`
}

func measureAsOf(ctx context.Context, s settings, parent string) (*asOf, error) {
	dir := filepath.Join(parent, "asof")
	defer os.RemoveAll(dir)
	w, err := warehouse.Open(ctx, dir, warehouse.Options{Retention: -1, Memory: s.Memory, Threads: s.Threads})
	if err != nil {
		return nil, err
	}
	defer w.Close()
	g := &generator{tables: []string{"account"}, changes: s.Changes, rows: s.Rows}
	var r asOf
	if r.Spool, err = spoolAll(ctx, w, g); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.Seal(ctx); err != nil {
		return nil, err
	}
	r.Seal = time.Since(began)
	status := w.Status()
	r.Spool.Bytes, r.Spool.Archive = status.Bytes, status.Archive
	whole := "SELECT count(*), sum(balance), max(visits) FROM account"
	one := "SELECT balance FROM account WHERE id = 4711"
	for _, at := range []struct {
		name string
		lsn  dbms.LSN
	}{{"now", 0}, {"after 90 % of the changes", lsnOf(g.commits() * 9 / 10)}, {"after 50 %", lsnOf(g.commits() / 2)}, {"after 10 %", lsnOf(max(1, g.commits()/10))}} {
		for _, q := range []struct{ name, sql string }{{"the table aggregated, ", whole}, {"one key, ", one}} {
			t, err := ask(ctx, w, s.Rounds, q.name+at.name, at.lsn, q.sql)
			if err != nil {
				return nil, err
			}
			r.Times = append(r.Times, t)
		}
	}
	t, err := ask(ctx, w, s.Rounds, "every version of one key, with who made it", 0,
		"SELECT count(*), count(DISTINCT principal) FROM history.account JOIN prov.calls c ON c.lsn = dbos_commit WHERE id = 4711")
	if err != nil {
		return nil, err
	}
	r.Times = append(r.Times, t)
	if r.Diff, err = measureDiff(ctx, w, s, lsnOf(g.commits()*9/10)); err != nil {
		return nil, err
	}
	return &r, nil
}

// spoolAll spools everything and says how it went on the way.
func spoolAll(ctx context.Context, w *warehouse.Warehouse, db dbms.DB) (ingest, error) {
	g := db.(*generator)
	var done atomic.Bool
	began := time.Now()
	go func() {
		for tick := time.NewTicker(10 * time.Second); ; {
			<-tick.C
			if done.Load() {
				return
			}
			n := int64(w.Position().LSN) / (perCommit + 1) * perCommit
			fmt.Fprintf(os.Stderr, "%d changes, %.0f/s, %s resident at most\n", n, float64(n)/time.Since(began).Seconds(), measure.Bytes(measure.PeakResident()))
		}
	}()
	_, err := w.Spool(ctx, db, 0)
	took := time.Since(began)
	done.Store(true)
	return ingest{Changes: g.changes, Took: took, Peak: measure.PeakResident()}, err
}

// ask asks a question some times.
func ask(ctx context.Context, w *warehouse.Warehouse, rounds int, name string, at dbms.LSN, sql string, args ...any) (timing, error) {
	var times measure.Latencies
	t := timing{Question: name}
	for range rounds {
		began := time.Now()
		rows, err := w.Query(ctx, at, sql, args...)
		if err != nil {
			return t, err
		}
		n := 0
		for rows.Next() {
			if n++; n == 1 {
				t.Answer = fmt.Sprint(rows.Values())
			}
		}
		err = rows.Err()
		rows.Close()
		if err != nil {
			return t, err
		}
		times = append(times, time.Since(began))
	}
	t.Took = times.Quantile(0.5)
	return t, nil
}

func measureDiff(ctx context.Context, w *warehouse.Warehouse, s settings, from dbms.LSN) (timing, error) {
	var times measure.Latencies
	n := 0
	for range min(s.Rounds, 3) {
		n = 0
		began := time.Now()
		err := w.Diff(ctx, "account", 0, from, func(warehouse.Difference) error { n++; return nil })
		if err != nil {
			return timing{}, err
		}
		times = append(times, time.Since(began))
	}
	return timing{Question: "the rows that the last 10 % of the changes changed", Took: times.Quantile(0.5), Answer: fmt.Sprint(n)}, nil
}

func (a *asOf) print(w io.Writer, s settings) {
	fmt.Fprintf(w, "%s changes over %s live rows: spooled in %v, %s/s; %s resident at most; on disk %s, of which the archive has %s (the last segment sealed in %v).\n\n",
		measure.Count(float64(s.Changes)), measure.Count(float64(s.Rows)), measure.Duration(a.Spool.Took), measure.Count(a.Spool.rate()),
		measure.Bytes(a.Spool.Peak), measure.Bytes(a.Spool.Bytes), measure.Bytes(a.Spool.Archive), measure.Duration(a.Seal))
	table := measure.Table{Header: []string{"question", "time", "answer"}}
	for _, t := range append(a.Times, a.Diff) {
		table.Add(t.Question, measure.Duration(t.Took), t.Answer)
	}
	table.Print(w)
	fmt.Fprintln(w)
}
