package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// A side is one way to keep the events: how it took them and how it answers.
type side struct {
	Name    string   `json:"name"`
	Ingest  ingest   `json:"ingest"`
	Answers []timing `json:"answers"`
}

// A store keeps the events and answers the questions, each with a text that is the
// same for all stores.
type store interface {
	add(commits []dbms.Commit) error
	finish() error // all is on disk
	// touched is how many principals have changed a row of account.
	touched(id int64) (string, error)
	// changed is how many rows of account were changed after one LSN up to another.
	changed(after, upto dbms.LSN) (string, error)
	// state is how many rows account had at a moment, and the sum of their balances.
	state(at dbms.LSN) (string, error)
	// did is how many changes a principal made in each table.
	did(principal string) (string, error)
	// top is the tables by the number of their changes.
	top() (string, error)
	size() int64
	close() error
}

// compared are the tables that the events are of.
var compared = []string{"account", "stock", "session"}

func measureQuestions(ctx context.Context, s settings, parent string) ([]side, error) {
	g := &generator{tables: compared, changes: s.Compare, rows: min(s.Rows, s.Compare/2)}
	var sides []side
	for _, one := range []struct {
		name string
		open func(dir string) (store, error)
	}{
		{"warehouse", func(dir string) (store, error) { return openWarehouse(ctx, dir, g) }},
		{"SQLite", openSQLite},
		{"JSON lines", openLines},
	} {
		dir := filepath.Join(parent, one.name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		made, err := measureSide(ctx, s, g, one.name, func() (store, error) { return one.open(dir) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
		for i := range made.Answers {
			if len(sides) > 0 && made.Answers[i].Answer != sides[0].Answers[i].Answer {
				return nil, fmt.Errorf("%s: %s answers %q, %s %q", made.Answers[i].Question, one.name, made.Answers[i].Answer, sides[0].Name, sides[0].Answers[i].Answer)
			}
		}
		sides = append(sides, made)
		os.RemoveAll(dir)
	}
	return sides, nil
}

func measureSide(ctx context.Context, s settings, g *generator, name string, open func() (store, error)) (side, error) {
	fmt.Fprintln(os.Stderr, "ingest:", name)
	made := side{Name: name}
	st, err := open()
	if err != nil {
		return made, err
	}
	defer st.close()
	runtime.GC()
	began := time.Now()
	for after := dbms.LSN(0); ; {
		commits, err := g.Changes(ctx, after, 10_000)
		if err != nil {
			return made, err
		}
		if len(commits) == 0 {
			break
		}
		if err := st.add(commits); err != nil {
			return made, err
		}
		after = commits[len(commits)-1].LSN
	}
	if err := st.finish(); err != nil {
		return made, err
	}
	made.Ingest = ingest{Changes: g.changes, Took: time.Since(began), Bytes: st.size()}
	at := func(part float64) dbms.LSN { return lsnOf(int(float64(g.commits()) * part)) }
	for _, q := range []struct {
		question string
		ask      func() (string, error)
	}{
		{"who touched this row", func() (string, error) { return st.touched(4711) }},
		{"what changed between two moments (5 % of all)", func() (string, error) { return st.changed(at(0.90), at(0.95)) }},
		{"the state as of the middle", func() (string, error) { return st.state(at(0.5)) }},
		{"everything that one principal did", func() (string, error) { return st.did("user:77") }},
		{"tables by changes", st.top},
	} {
		t := timing{Question: q.question}
		var times measure.Latencies
		for range s.Rounds {
			began := time.Now()
			if t.Answer, err = q.ask(); err != nil {
				return made, err
			}
			times = append(times, time.Since(began))
		}
		t.Took = times.Quantile(0.5)
		made.Answers = append(made.Answers, t)
	}
	return made, nil
}

func printQuestions(w io.Writer, sides []side) {
	if len(sides) == 0 {
		return
	}
	header := []string{""}
	for _, s := range sides {
		header = append(header, s.Name)
	}
	table := measure.Table{Header: header}
	line := func(name string, of func(s *side) string) {
		cells := []string{name}
		for i := range sides {
			cells = append(cells, of(&sides[i]))
		}
		table.Add(cells...)
	}
	line("ingest, changes/s", func(s *side) string { return measure.Count(s.Ingest.rate()) })
	line("on disk", func(s *side) string { return measure.Bytes(s.Ingest.Bytes) })
	for i, a := range sides[0].Answers {
		line(a.Question, func(s *side) string { return measure.Duration(s.Answers[i].Took) })
	}
	fmt.Fprintf(w, "%s events.\n\n", measure.Count(float64(sides[0].Ingest.Changes)))
	table.Print(w)
	fmt.Fprintln(w)
}

// A house is the warehouse as a store.
type house struct {
	ctx context.Context
	w   *warehouse.Warehouse
	g   *generator
}

func openWarehouse(ctx context.Context, dir string, g *generator) (store, error) {
	w, err := warehouse.Open(ctx, dir, warehouse.Options{Retention: -1})
	if err != nil {
		return nil, err
	}
	return &house{ctx: ctx, w: w, g: g}, nil
}

// add does nothing: the warehouse reads by itself.
func (h *house) add([]dbms.Commit) error { return nil }

func (h *house) finish() error {
	if _, err := h.w.Spool(h.ctx, h.g, 0); err != nil {
		return err
	}
	return h.w.Seal(h.ctx)
}

func (h *house) size() int64  { return h.w.Status().Bytes }
func (h *house) close() error { return h.w.Close() }

// text is a query's result, values by spaces and rows by semicolons.
func (h *house) text(at dbms.LSN, sql string, args ...any) (string, error) {
	rows, err := h.w.Query(h.ctx, at, sql, args...)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	text := ""
	for rows.Next() {
		for _, v := range rows.Values() {
			text += fmt.Sprint(v) + " "
		}
		text += "; "
	}
	return text, rows.Err()
}

func (h *house) touched(id int64) (string, error) {
	return h.text(0, "SELECT count(DISTINCT principal) FROM history.account JOIN prov.calls c ON c.lsn = dbos_commit WHERE id = $1", id)
}

func (h *house) changed(after, upto dbms.LSN) (string, error) {
	return h.text(0, "SELECT count(DISTINCT id) FROM history.account WHERE dbos_lsn > $1 AND dbos_lsn <= $2", int64(after), int64(upto))
}

func (h *house) state(at dbms.LSN) (string, error) {
	return h.text(at, "SELECT count(*), sum(balance) FROM account")
}

func (h *house) did(principal string) (string, error) {
	return h.text(0, `SELECT "table", count(*) FROM prov.changes JOIN prov.calls USING (lsn) WHERE principal = $1 GROUP BY 1 ORDER BY 1`, principal)
}

func (h *house) top() (string, error) {
	return h.text(0, `SELECT "table", count(*) AS n FROM prov.changes GROUP BY 1 ORDER BY n DESC, 1`)
}
