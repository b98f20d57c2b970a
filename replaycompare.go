package dbos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/warehouse"
)

// A pastTx is a transaction of the scratch copy as that one was that is
// replayed: its time and state are the recorded ones, and nobody hears of it.
type pastTx struct {
	dbms.Tx
	now time.Time
	lsn dbms.LSN
}

func (t *pastTx) Now() time.Time { return t.now }
func (t *pastTx) LSN() dbms.LSN  { return t.lsn }
func (t *pastTx) Notify(string)  {}
func (t *pastTx) Record([]byte)  {}

// errReplayed rolls a transaction of the scratch copy back.
var errReplayed = errors.New("replayed")

var replayCall = abi.Call{Procedure: "dbos.replay", Principal: abi.System}

// perform does a wanted transaction and returns what it looked at.
func (run *rerun) perform(tx dbms.Tx, w *wanted) *recorder {
	past := &pastTx{Tx: tx, now: tx.Now(), lsn: tx.LSN()}
	run.children = nil
	if w.commit != nil {
		past.now, past.lsn = time.UnixMicro(w.commit.now).UTC(), w.commit.saw
		run.children = slices.Clone(w.commit.children)
	}
	rec := &recorder{sys: run.r.sys}
	rec.begin()
	w.outcome = w.do(past, rec)
	return rec
}

// tryAt does a transaction on the copy as it is, compares, and takes it back.
func (run *rerun) tryAt(ctx context.Context, w *wanted) (d *Divergence, err error) {
	_, err = run.r.machine.DB().Update(ctx, replayCall, func(tx dbms.Tx) error {
		rec := run.perform(tx, w)
		d, err = run.compare(tx, w, rec)
		if err != nil {
			return err
		}
		return errReplayed
	})
	if errors.Is(err, errReplayed) {
		err = nil
	}
	return d, err
}

// changesSame reports whether a transaction changes the recorded rows as it did,
// and fails if it failed.
func (run *rerun) changesSame(ctx context.Context, w *wanted) (same bool, err error) {
	_, err = run.r.machine.DB().Update(ctx, replayCall, func(tx dbms.Tx) error {
		run.perform(tx, w)
		if same = (w.outcome.failure == nil) == (w.recorded.Error == nil); !same || w.outcome.failure != nil {
			return errReplayed
		}
		different, err := run.compareChanges(tx, &Divergence{}, w.commit)
		if same = !different; err != nil {
			return err
		}
		return errReplayed
	})
	if errors.Is(err, errReplayed) {
		err = nil
	}
	return same, err
}

// compare finds the first difference between what a transaction did and what
// is recorded of it.
func (run *rerun) compare(tx dbms.Tx, w *wanted, rec *recorder) (*Divergence, error) {
	d := &Divergence{Seq: w.seq, Step: w.name}
	if w.commit.noted {
		now, err := footprint.Decode(rec.print.Encode())
		if err != nil {
			return nil, err
		}
		different, err := run.compareStatements(d, w.commit.Footprint, now, rec)
		if different || err != nil {
			return d, err
		}
	}
	if w.outcome.failure == nil {
		different, err := run.compareChanges(tx, d, w.commit)
		if different || err != nil {
			return d, err
		}
	}
	if text(w.recorded.Output) != text(w.outcome.output) || text(w.recorded.Error) != text(w.outcome.failure) {
		d.Kind, d.Detail = "output", "the transaction returns something else"
		d.Recorded, d.Replayed = run.outcome(w.recorded.Output, w.recorded.Error), run.outcome(w.outcome.output, w.outcome.failure)
		return d, nil
	}
	return nil, nil
}

func (run *rerun) outcome(output, failure *string) string {
	if failure != nil {
		return outcomeText(run.task.Codec, nil, run.r.sys.errors.load(*failure))
	}
	return outcomeText(run.task.Codec, output, nil)
}

// compareStatements finds the first statement that differs.
func (run *rerun) compareStatements(d *Divergence, then, now footprint.Footprint, rec *recorder) (bool, error) {
	for i := range max(len(then.Statements), len(now.Statements)) {
		d.Statement = i + 1
		if i >= len(then.Statements) && then.Truncated || i >= len(now.Statements) && now.Truncated {
			break
		}
		var a, b *footprint.Statement
		var textA, textB string
		if i < len(then.Statements) {
			a = &then.Statements[i]
			var err error
			if textA, err = run.r.text(a.Text); err != nil {
				return false, err
			}
		}
		if i < len(now.Statements) {
			b, textB = &now.Statements[i], rec.texts[i].text
		}
		switch {
		case a == nil:
			d.Kind, d.Recorded, d.Replayed = "statement", "no further statement", textB
			d.Detail = fmt.Sprintf("the transaction now runs a statement %d", i+1)
		case b == nil:
			d.Kind, d.Recorded, d.Replayed = "statement", textA, "no further statement"
			d.Detail = fmt.Sprintf("the transaction does not run statement %d", i+1)
		case a.Text != b.Text:
			d.Kind, d.Recorded, d.Replayed = "statement", textA, textB
			d.Detail = fmt.Sprintf("statement %d is another one", i+1)
		case !slices.EqualFunc(a.Args, b.Args, sameValue):
			d.Kind, d.Recorded, d.Replayed = "arguments", valuesText(a.Args), valuesText(b.Args)
			d.Detail = fmt.Sprintf("statement %d has other arguments: %s", i+1, textA)
		case a.Rows != b.Rows:
			d.Kind, d.Recorded, d.Replayed = "rows", rowsText(a.Rows), rowsText(b.Rows)
			d.Detail = fmt.Sprintf("statement %d finds other rows: %s", i+1, textA)
		default:
			continue
		}
		return true, nil
	}
	d.Statement = 0
	return false, nil
}

func rowsText(n int64) string {
	if n == failedRows {
		return "it fails"
	}
	return strconv.FormatInt(n, 10)
}

func sameValue(a, b dbms.Value) bool {
	x, isBytes := a.([]byte)
	if !isBytes {
		_, other := b.([]byte)
		return !other && a == b
	}
	y, other := b.([]byte)
	return other && (x == nil) == (y == nil) && bytes.Equal(x, y)
}

func valuesText(list []dbms.Value) string {
	texts := make([]string, len(list))
	for i, v := range list {
		switch x := v.(type) {
		case nil:
			texts[i] = "NULL"
		case string:
			texts[i] = strconv.Quote(x)
		case []byte:
			texts[i] = fmt.Sprintf("x'%x'", x)
		default:
			texts[i] = fmt.Sprint(x)
		}
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

// text returns a recorded statement.
func (r *replaying) text(id int64) (string, error) {
	if t, ok := r.texts[id]; ok {
		return t, nil
	}
	ctx := context.Background()
	err := r.sys.db.View(ctx, func(tx dbms.Tx) error {
		list, err := texts(tx, textOf, id)
		if err == nil && len(list) == 0 {
			list = []string{fmt.Sprintf("(a statement whose text is not kept, %d)", id)}
		}
		if err == nil {
			r.texts[id] = list[0]
		}
		return err
	})
	return r.texts[id], err
}

var textOf = dbms.System(`SELECT text FROM prov_text WHERE id = $1`)

// compareChanges looks at the rows that the recorded transaction changed.
func (run *rerun) compareChanges(tx dbms.Tx, d *Divergence, c *pastCommit) (bool, error) {
	type place struct {
		table string
		key   string
	}
	last := map[place]warehouse.Change{}
	var order []place
	for _, change := range c.changes {
		p := place{change.Table, valuesText(change.Key)}
		if _, ok := last[p]; !ok {
			order = append(order, p)
		}
		last[p] = change
	}
	for _, p := range order {
		change := last[p]
		t := run.r.tables[p.table]
		if t == nil || len(t.Columns) != len(change.After) && change.After != nil {
			continue // it was defined otherwise then
		}
		row, err := t.row(tx, change.Key)
		if err != nil {
			return false, err
		}
		if (row == nil) != (change.After == nil) || !slices.EqualFunc(row, change.After, sameValue) {
			d.Kind, d.Recorded, d.Replayed = "changes", rowText(change.After), rowText(row)
			d.Detail = fmt.Sprintf("row %s of table %s is another one (%s)", p.key, p.table, strings.Join(t.Columns, ", "))
			return true, nil
		}
	}
	return false, nil
}

func rowText(row []dbms.Value) string {
	if row == nil {
		return "no row"
	}
	return valuesText(row)
}

// A tableShape is how to look at the rows of a table.
type tableShape struct {
	Columns []string
	query   *dbms.Query
}

func newTableShape(t dbms.Change) *tableShape {
	list := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		list[i] = quoteName(c)
	}
	where := make([]string, len(t.KeyColumns))
	for i, c := range t.KeyColumns {
		if !slices.Contains(t.Columns, c) {
			return nil // rows without a key have a place, which need not be the same again
		}
		where[i] = fmt.Sprintf("%s = $%d", quoteName(c), i+1)
	}
	return &tableShape{t.Columns, dbms.SQL("SELECT " + strings.Join(list, ", ") + " FROM " + quoteName(t.Table) +
		" WHERE " + strings.Join(where, " AND "))}
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// row returns a row by its key, or nil.
func (t *tableShape) row(tx dbms.Tx, key []dbms.Value) ([]dbms.Value, error) {
	args := make([]any, len(key))
	for i, v := range key {
		args[i] = v
	}
	rows, err := tx.Query(t.query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	row, dest := make([]dbms.Value, len(t.Columns)), make([]any, len(t.Columns))
	for i := range row {
		dest[i] = (*any)(&row[i])
	}
	if err := rows.Scan(dest...); err != nil {
		return nil, err
	}
	return row, rows.Close()
}
