//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dbos-go/dbos/abi"
)

// Rebuild makes the warehouse of a directory anew from its archive. All files are compared with their
// checksums first; the store's file is replaced when the new one is complete, so a
// Rebuild that fails or is killed changes nothing. What was spooled after the last segment is not in the
// archive: the next Spool reads it again.
//
// progress, if it is not nil, is told how many of the archive's bytes are done.
func Rebuild(ctx context.Context, dir string, o Options, progress func(done, total int64)) error {
	const op = "warehouse.rebuild"
	w, err := open(ctx, dir, o)
	if err != nil {
		return err
	}
	defer func() {
		if w != nil {
			w.release()
		}
	}()
	if w.archive, err = readArchive(w.dir); err != nil {
		return err
	}
	if len(w.archive.Segments) == 0 {
		return abi.Errorf(op, abi.NotFound, "archive of "+w.dir, "it has no segments").
			WithHint("without one, remove %s: history begins anew with what the database still has", w.file())
	}
	root := filepath.Join(w.dir, segmentsName)
	var total int64
	for i := range w.archive.Segments {
		if err := w.archive.Segments[i].verify(root); err != nil {
			return err
		}
		total += w.archive.Segments[i].bytes()
	}
	if progress == nil {
		progress = func(done, total int64) {}
	}
	fresh := w.file() + ".new"
	removeStore(fresh)
	if err := w.attach(ctx, fresh); err != nil {
		return err
	}
	if err := w.replay(ctx, root, func(done int64) { progress(done, total) }); err != nil {
		removeStore(fresh)
		return err
	}
	for _, text := range []string{"CHECKPOINT warehouse", "USE memory", "DETACH warehouse"} {
		if _, err := w.writer.exec(ctx, text); err != nil {
			removeStore(fresh)
			return err
		}
	}
	if err := swapStore(fresh, w.file()); err != nil {
		return archiveError(err, w.file())
	}
	return nil
}

func removeStore(path string) {
	os.Remove(path)
	os.Remove(path + ".wal")
}

// swapStore puts a complete store in the place of another. The other's log must not be read
// with it, so that goes first: should this be where the process is killed, the old file lacks its
// last transactions, and Rebuild is to be called again.
func swapStore(fresh, old string) error {
	if err := os.Remove(old + ".wal"); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.Rename(fresh, old); err != nil {
		return err
	}
	return syncDir(filepath.Dir(old))
}

// replay puts the archive's segments into an empty store.
func (w *Warehouse) replay(ctx context.Context, root string, progress func(done int64)) error {
	w.catalog = newCatalog(w.archive.Engine)
	var done int64
	for i := range w.archive.Segments {
		s := &w.archive.Segments[i]
		err := w.transact(ctx, func() error {
			if i == 0 {
				if err := w.replayState(ctx, s); err != nil {
					return err
				}
			}
			if err := w.replaySegment(ctx, root, s); err != nil {
				return fmt.Errorf("segment %s: %w", s.Name, err)
			}
			return w.setMoment(ctx, "position", s.Upto)
		})
		if err != nil {
			return err
		}
		done += s.bytes()
		progress(done)
	}
	return nil
}

func (w *Warehouse) replayState(ctx context.Context, first *segment) error {
	if _, err := w.writer.exec(ctx, `UPDATE warehouse.state SET value = $1 WHERE key = 'engine'`, w.archive.Engine); err != nil {
		return err
	}
	for _, g := range w.archive.Gaps {
		_, err := w.writer.exec(ctx, `INSERT INTO warehouse.gap VALUES ($1, $2, $3, $4)`,
			int64(g.After.LSN), timeValue(g.After.Time), int64(g.Upto.LSN), timeValue(g.Upto.Time))
		if err != nil {
			return err
		}
	}
	oldest := w.archive.Oldest
	if first.Base {
		oldest = first.Upto
	}
	return w.setMoment(ctx, "oldest", oldest)
}

func (w *Warehouse) replaySegment(ctx context.Context, root string, s *segment) error {
	file := func(f *segmentFile) string {
		return "read_parquet(" + literal(filepath.Join(root, s.Name, f.Name)) + ")"
	}
	for _, part := range []string{partDefinitions, partAll, partEnded, partBegun, partCommits, partStatements, partReads} {
		for i := range s.Files {
			f := &s.Files[i]
			if f.Part != part {
				continue
			}
			if err := w.replayFile(ctx, f, file(f)); err != nil {
				return fmt.Errorf("file %s: %w", f.Name, err)
			}
		}
	}
	return nil
}

// replayFile puts one file of a segment into the store.
func (w *Warehouse) replayFile(ctx context.Context, f *segmentFile, from string) error {
	switch f.Part {
	case partDefinitions:
		return w.replayDefinitions(ctx, from)
	case partCommits:
		return w.execAll(ctx, "INSERT INTO warehouse.commit BY NAME SELECT * FROM "+from)
	case partStatements:
		return w.execAll(ctx, "INSERT INTO warehouse.statement BY NAME SELECT * FROM "+from)
	case partReads:
		return w.execAll(ctx, "INSERT INTO warehouse.read BY NAME SELECT * FROM "+from)
	}
	if f.Table < 0 || f.Table >= len(w.catalog.tables) || len(w.catalog.tables[f.Table].defs) == 0 {
		return abi.Errorf("warehouse.rebuild", abi.Corrupt, "archive", "nothing defines table %d", f.Table)
	}
	t := w.catalog.tables[f.Table]
	if f.Part == partEnded {
		d := t.named(1<<63 - 1)
		same := d.sameKey("l", "e", true) + " AND l.lsn = e.lsn"
		return w.execAll(ctx,
			fmt.Sprintf(`INSERT INTO %s (lsn, commit, op, odd, key_odd, end_lsn, end_commit, end_op, %s)
				SELECT l.lsn, l.commit, l.op, l.odd, l.key_odd, e.end_lsn, e.end_commit, e.end_op, %s FROM %s l JOIN %s e ON %s`,
				t.closed(), t.physicalList(""), t.physicalList("l."), t.live(), from, same),
			fmt.Sprintf("DELETE FROM %s l USING %s e WHERE %s", t.live(), from, same))
	}
	var statements []string
	if f.Part == partAll {
		statements = append(statements, "DELETE FROM "+t.live())
	}
	return w.execAll(ctx, append(statements,
		fmt.Sprintf("INSERT INTO %s BY NAME SELECT * EXCLUDE (end_lsn, end_commit, end_op) FROM %s WHERE end_lsn IS NULL", t.live(), from),
		fmt.Sprintf("INSERT INTO %s BY NAME SELECT * FROM %s WHERE end_lsn IS NOT NULL", t.closed(), from))...)
}

func (w *Warehouse) execAll(ctx context.Context, statements ...string) error {
	for _, text := range statements {
		if _, err := w.writer.exec(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// replayDefinitions makes the tables and columns that a segment brings.
func (w *Warehouse) replayDefinitions(ctx context.Context, from string) error {
	if err := w.execAll(ctx, "INSERT INTO warehouse.definition BY NAME SELECT * FROM "+from+" ORDER BY n"); err != nil {
		return err
	}
	var ids []int
	var defs []*definition
	err := w.writer.query(ctx, func(row []driver.Value) error {
		d := &definition{}
		id, _ := row[0].(int32)
		body, _ := row[1].(string)
		ids, defs = append(ids, int(id)), append(defs, d)
		return json.Unmarshal([]byte(body), d)
	}, "SELECT table_id, body FROM "+from+" ORDER BY n")
	if err != nil {
		return abi.Errorf("warehouse.rebuild", abi.Corrupt, "definitions", "%w", err)
	}
	for i, d := range defs {
		id := ids[i]
		before := 0
		isNew := id >= len(w.catalog.tables) || len(w.catalog.tables[id].defs) == 0
		if !isNew {
			before = len(w.catalog.tables[id].columns)
		}
		w.catalog.load(id, d)
		t := w.catalog.tables[id]
		if isNew {
			err = t.create(ctx, w.writer)
		} else {
			err = t.widen(ctx, w.writer, before)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
