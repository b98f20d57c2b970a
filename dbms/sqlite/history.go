package sqlite

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A history records every change of every tracked table: by triggers into one
// history table for each table (h_NAME), inside the changing transaction.
// Every change and every commit takes the next number, so that the numbers of
// all history tables together are the order of the changes, and a commit's
// LSN is greater than those of its changes.
//
// It belongs to the writer; only oldest is read by others.
type history struct {
	w      *writer
	on     bool
	oldest atomic.Int64 // the LSN up to which history has been trimmed

	tables map[string]*table // the tracked tables, by name in lower case
	dirty  bool              // tables has changes that are not committed
	stale  bool              // tables must be read again
}

// openHistory reads where history stands, and turns capture on or off.
func openHistory(w *writer, on bool) (*history, error) {
	h := &history{w: w, on: on, tables: map[string]*table{}}
	oldest, err := w.conn.integer("SELECT value FROM dbos_meta WHERE key = 'oldest'")
	if err != nil {
		return nil, err
	}
	last, err := w.conn.integer(`SELECT max(n) FROM (
		SELECT max(lsn) AS n FROM dbos_transaction UNION ALL SELECT max(seq) FROM dbos_definition)`)
	if err != nil {
		return nil, err
	}
	h.oldest.Store(oldest)
	w.seq = max(last, oldest)
	w.last.Store(w.seq)
	if err := h.capture(on); err != nil {
		return nil, err
	}
	return h, nil
}

// capture makes the triggers match the wish. History that was off for a while
// has a gap: nobody can read across it.
func (h *history) capture(on bool) error {
	was, err := h.w.conn.integer("SELECT value FROM dbos_meta WHERE key = 'capture'")
	if err != nil {
		return err
	}
	if err := h.load(); err != nil || (was == 1) == on {
		return err
	}
	if err := h.w.conn.script("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := h.switchTo(on); err != nil {
		return errors.Join(err, h.w.conn.script("ROLLBACK"))
	}
	h.w.last.Store(h.w.seq)
	h.oldest.Store(h.w.seq)
	return h.w.conn.script("COMMIT")
}

func (h *history) switchTo(on bool) error {
	c := h.w.conn
	for _, t := range h.tables {
		if err := h.dropTriggers(t.name); err != nil {
			return err
		}
		if on {
			if err := h.track(t, nil); err != nil {
				return err
			}
		}
	}
	if err := c.script("INSERT OR REPLACE INTO dbos_meta VALUES ('oldest', $1)", h.w.seq); err != nil {
		return err
	}
	return c.script("INSERT OR REPLACE INTO dbos_meta VALUES ('capture', $1)", on)
}

// load reads the tracked tables as they are.
func (h *history) load() error {
	tables, err := readTables(h.w.conn, nil)
	if err == nil {
		h.tables, h.stale = tables, false
	}
	return err
}

// forget is called when work was rolled back.
func (h *history) forget() {
	if h.dirty {
		h.stale, h.dirty = true, false
		h.w.conn.forget()
	}
}

// settle is called when work was committed.
func (h *history) settle() { h.dirty = false }

// define runs a statement that changes definitions, and brings history tables
// and triggers up to date. If it fails, the caller takes back what it did.
func (h *history) define(s *statement) error {
	// From here the tables known may be ahead of what is committed.
	h.dirty = true
	if h.stale {
		if err := h.load(); err != nil {
			return err
		}
	}
	var touched []string
	for _, d := range s.ddl {
		switch d.op {
		case sqlite.OpAlterTable:
			// ALTER TABLE fails when a trigger names what it changes.
			if err := h.dropTriggers(d.table); err != nil {
				return err
			}
			touched = append(touched, strings.ToLower(d.table))
		case sqlite.OpCreateTrigger:
			// The newest trigger fires first, and history must: see trigger.
			touched = append(touched, strings.ToLower(d.table))
		}
	}
	if _, err := s.run(); err != nil {
		return err
	}
	if s.app {
		if err := h.checkNames(); err != nil {
			return err
		}
	}
	return h.reconcile(touched)
}

// checkNames refuses an application's table that has got a reserved name by
// ALTER TABLE … RENAME TO, of which SQLite does not tell the authorizer: a
// table known by another name, or an untracked one.
func (h *history) checkNames() error {
	return h.w.conn.scan("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'", func(r dbms.Rows) error {
		var name string
		var root int64
		if err := r.Scan(&name, &root); err != nil || !isReserved(name) {
			return err
		}
		for _, t := range h.tables {
			if t.root == root && root != 0 && !strings.EqualFold(t.name, name) {
				why, hint := forbiddenName(name)
				return abi.Errorf("sqlite.define", abi.Denied, "table "+t.name, "%s", why).WithHint("%s", hint)
			}
		}
		return nil
	})
}

// reconcile compares the tables with those known, records what is new, and
// gives the touched ones fresh triggers.
func (h *history) reconcile(touched []string) error {
	if !h.on {
		return h.load()
	}
	now, err := readTables(h.w.conn, h.tables)
	if err != nil {
		return err
	}
	before := h.tables
	h.tables = now
	for _, name := range sorted(now) {
		t, old := now[name], before[name]
		switch {
		case old == nil || old.root != t.root:
			err = h.created(t, before, now)
		case old.sql != t.sql:
			err = h.track(t, old)
		case slices.Contains(touched, name):
			err = h.trigger(t)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range sorted(before) {
		if now[name] == nil && renamedTo(before[name], now) == nil {
			if err := h.dropped(before[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// created records a table that is new or has a new name.
func (h *history) created(t *table, before, now map[string]*table) error {
	for name, old := range before {
		if old.root == t.root && now[name] == nil {
			return h.track(t, old)
		}
	}
	if before[strings.ToLower(t.name)] != nil {
		if err := h.dropped(before[strings.ToLower(t.name)]); err != nil {
			return err
		}
	}
	if err := h.track(t, nil); err != nil {
		return err
	}
	return h.w.conn.script(t.copyRows()) // of CREATE TABLE … AS SELECT
}

func renamedTo(old *table, now map[string]*table) *table {
	for _, t := range now {
		if t.root == old.root {
			return t
		}
	}
	return nil
}

// dropped records that a table is gone.
func (h *history) dropped(t *table) error {
	return h.w.conn.script("INSERT INTO dbos_definition (seq, name, op) VALUES ($1, $2, 'drop')", h.w.next(), t.name)
}

// track records a table's definition and gives it a history table, with all
// columns it ever had, and triggers. old is what the table was before; nil if
// it is new.
func (h *history) track(t, old *table) error {
	if err := t.check(); err != nil {
		return err
	}
	renamed := ""
	if old != nil && old.name != t.name {
		renamed = old.name
	}
	defaults, err := h.defaults(t, old)
	if err != nil {
		return err
	}
	err = h.w.conn.script(`INSERT INTO dbos_definition (seq, name, op, sql, renamed, columns, key, types, defaults)
		VALUES ($1, $2, 'define', $3, nullif($4, ''), $5, $6, $7, $8)`, h.w.next(), t.name, t.sql, renamed,
		names(t.columns), names(t.keyColumns()), names(t.types), defaults)
	if err != nil {
		return err
	}
	if err := h.extend(t); err != nil {
		return err
	}
	return h.trigger(t)
}

// names writes names as a JSON array.
func names(list []string) string {
	text, _ := json.Marshal(append([]string{}, list...)) // texts always can
	return string(text)
}

// defaults is what the rows of a table have in columns that it has got. They
// have all the same, because SQLite adds no column whose default is not
// constant, so one of them tells; without a row nobody needs to know.
func (h *history) defaults(t, old *table) (any, error) {
	if old == nil {
		return nil, nil
	}
	values := make([]dbms.Value, len(t.columns))
	added := false
	for i, column := range t.columns {
		if indexOf(old.columns, column) >= 0 {
			continue
		}
		err := h.w.conn.scan("SELECT "+quote(column)+" FROM "+quote(t.name)+" LIMIT 1", func(r dbms.Rows) error {
			added = true
			return r.Scan((*any)(&values[i]))
		})
		if err != nil {
			return nil, err
		}
	}
	if !added {
		return nil, nil
	}
	return string(dbms.MarshalValues(values)), nil
}

// extend makes the history table hold all the table's columns.
func (h *history) extend(t *table) error {
	c := h.w.conn
	if err := c.script("CREATE TABLE IF NOT EXISTS " + t.history() + " (dbos_seq INTEGER PRIMARY KEY, dbos_op, dbos_rowid)"); err != nil {
		return err
	}
	has := map[string]bool{}
	err := c.scan("SELECT lower(name) FROM pragma_table_info($1)", func(r dbms.Rows) error {
		var name string
		err := r.Scan(&name)
		has[name] = true
		return err
	}, "h_"+t.name)
	if err != nil {
		return err
	}
	for _, column := range t.columns {
		if has[strings.ToLower(column)] {
			continue
		}
		if err := c.script("ALTER TABLE " + t.history() + " ADD COLUMN " + quote(column)); err != nil {
			return err
		}
	}
	return nil
}

// trigger gives the table fresh triggers. SQLite fires the newest trigger of
// a table first; history must come before the application's triggers, whose
// own changes of the same row would otherwise be recorded before this one.
func (h *history) trigger(t *table) error {
	if err := h.dropTriggers(t.name); err != nil {
		return err
	}
	for _, sql := range t.triggers() {
		if err := h.w.conn.script(sql); err != nil {
			return err
		}
	}
	return nil
}

var triggerKinds = []string{"_mark", "_insert", "_update", "_delete"}

func (h *history) dropTriggers(table string) error {
	for _, kind := range triggerKinds {
		if err := h.w.conn.script("DROP TRIGGER IF EXISTS " + quote("h_"+table+kind)); err != nil {
			return err
		}
	}
	return nil
}

func isHistoryTrigger(name string) bool {
	return strings.HasPrefix(strings.ToLower(name), "h_")
}

// tracked reports whether history is kept of a table.
func tracked(name string) bool {
	name = strings.ToLower(name)
	return !strings.HasPrefix(name, "dbos_") && !strings.HasPrefix(name, "h_") && !strings.HasPrefix(name, "sqlite_")
}

func sorted(tables map[string]*table) []string {
	names := make([]string, 0, len(tables))
	for name := range tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func reservedColumn(t *table, column string) error {
	return abi.Errorf("sqlite.define", abi.Denied, "column "+column+" of table "+t.name, "column names beginning with dbos_ are the system's").
		WithHint("choose another name")
}
