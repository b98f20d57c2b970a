//go:build cgo

package warehouse

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sealChanges is after how many changes a segment is sealed without being asked.
const sealChanges = 4_000_000

// Seal writes what was spooled since the last segment of the archive into a new
// one. It does nothing if there is nothing.
func (w *Warehouse) Seal(ctx context.Context) error {
	if err := w.take(ctx, "warehouse.seal"); err != nil {
		return err
	}
	defer w.give()
	return w.seal(ctx)
}

// seal is Seal for who has the turn.
func (w *Warehouse) seal(ctx context.Context) error {
	st, c := w.now()
	after := w.archive.newest()
	if st.Position.LSN <= after.LSN {
		return nil
	}
	s := segmentWriter{w: w, c: c, after: after, upto: st.Position}
	made, err := s.write(ctx)
	if err != nil {
		return err
	}
	a := w.archive
	a.Engine, a.Gaps = st.Engine, st.Gaps
	if len(a.Segments) == 0 {
		a.Oldest = st.Oldest
	}
	a.Segments = append(append([]segment(nil), a.Segments...), made)
	w.unsealed = 0
	if err := w.archived(a); err != nil {
		return err
	}
	// A good moment to make the store's log short as well.
	if _, err := w.writer.exec(ctx, "CHECKPOINT warehouse"); err != nil && ctx.Err() == nil {
		w.o.Logger.Debug("warehouse: a checkpoint has to wait", "error", err) // for who reads
	}
	return nil
}

// archived makes an archive that of the warehouse.
func (w *Warehouse) archived(a archive) error {
	if err := a.publish(w.dir); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.archive = a
	return nil
}

// A segmentWriter writes one segment.
type segmentWriter struct {
	w     *Warehouse
	c     *catalog
	base  bool
	after Moment
	upto  Moment
	path  string
	files []segmentFile
}

func (s *segmentWriter) write(ctx context.Context) (segment, error) {
	root := filepath.Join(s.w.dir, segmentsName)
	made := segment{Name: segmentName(s.after, s.upto, s.base), Base: s.base, After: s.after, Upto: s.upto}
	s.path = filepath.Join(root, made.Name)
	if err := os.RemoveAll(s.path); err != nil { // what a killed process has left
		return segment{}, archiveError(err, s.path)
	}
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return segment{}, archiveError(err, s.path)
	}
	if err := s.parts(ctx); err != nil {
		os.RemoveAll(s.path)
		return segment{}, err
	}
	if err := syncDir(s.path); err != nil {
		return segment{}, archiveError(err, s.path)
	}
	if err := syncDir(root); err != nil {
		return segment{}, archiveError(err, root)
	}
	made.Files = s.files
	return made, nil
}

func (s *segmentWriter) parts(ctx context.Context) error {
	within := fmt.Sprintf("lsn > %d AND lsn <= %d", s.after.LSN, s.upto.LSN)
	if s.base {
		within = fmt.Sprintf("lsn <= %d", s.upto.LSN)
	}
	calls := within
	if s.base {
		calls = fmt.Sprintf("(%s) AND lsn IN (%s)", within, s.began())
	}
	for _, p := range [...]struct{ part, text string }{
		{partDefinitions, "SELECT * FROM warehouse.definition WHERE " + within + " ORDER BY n"},
		{partCommits, "SELECT * FROM warehouse.commit WHERE " + calls},
		{partStatements, "SELECT * FROM warehouse.statement WHERE " + calls},
		{partReads, "SELECT * FROM warehouse.read WHERE " + calls},
	} {
		if err := s.file(ctx, segmentFile{Part: p.part, Table: -1}, p.text); err != nil {
			return err
		}
	}
	changed, err := s.changed(ctx)
	if err != nil {
		return err
	}
	for _, t := range s.c.tables {
		if !changed(t) {
			continue
		}
		if err := s.table(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// changed says of which tables there can be something in the segment.
func (s *segmentWriter) changed(ctx context.Context) (func(t *table) bool, error) {
	all := func(*table) bool { return true }
	if s.base {
		return all, nil
	}
	row, err := s.w.writer.one(ctx, "SELECT count(*) FROM warehouse.commit WHERE procedure = $1 AND lsn > $2 AND lsn <= $3",
		baseProcedure, int64(s.after.LSN), int64(s.upto.LSN))
	if err != nil {
		return nil, err
	}
	if n, _ := row[0].(int64); n > 0 {
		return all, nil
	}
	touched, err := touchedTables(ctx, s.w.writer, s.after.LSN, s.upto.LSN)
	return func(t *table) bool {
		return touched[t.id] || slices.ContainsFunc(t.defs, func(d *definition) bool { return d.LSN > s.after.LSN && d.LSN <= s.upto.LSN })
	}, err
}

// began is a query of the commits that made the versions valid at the end of the segment.
func (s *segmentWriter) began() string {
	parts := []string{"SELECT -1::BIGINT"}
	for _, t := range s.c.tables {
		parts = append(parts, fmt.Sprintf("SELECT lsn + commit FROM %s WHERE lsn <= %d", t.live(), s.upto.LSN),
			fmt.Sprintf("SELECT lsn + commit FROM %s WHERE lsn <= %d AND end_lsn > %d", t.closed(), s.upto.LSN, s.upto.LSN))
	}
	return strings.Join(parts, " UNION ALL ")
}

func (s *segmentWriter) table(ctx context.Context, t *table) error {
	named := t.named(s.upto.LSN)
	if named == nil {
		return nil // made later
	}
	label := named.Name
	refilled := false
	for _, d := range t.defs {
		refilled = refilled || d.Refilled && d.LSN > s.after.LSN && d.LSN <= s.upto.LSN
	}
	begun := fmt.Sprintf("lsn > %d AND lsn <= %d", s.after.LSN, s.upto.LSN)
	part := partBegun
	switch {
	case s.base:
		return s.file(ctx, segmentFile{Part: partBegun, Table: t.id, Label: label},
			s.versions(t, fmt.Sprintf("lsn <= %d", s.upto.LSN), fmt.Sprintf("lsn <= %d AND end_lsn > %d", s.upto.LSN, s.upto.LSN)))
	case refilled:
		begun, part = fmt.Sprintf("lsn <= %d", s.upto.LSN), partAll
	}
	err := s.file(ctx, segmentFile{Part: part, Table: t.id, Label: label},
		s.versions(t, begun, fmt.Sprintf("%s AND end_lsn > %d", begun, s.after.LSN)))
	if err != nil || refilled {
		return err
	}
	keys := ""
	for _, p := range t.named(s.upto.LSN).KeyPhysical {
		keys += ", " + physicalName(p)
	}
	return s.file(ctx, segmentFile{Part: partEnded, Table: t.id, Label: label},
		fmt.Sprintf("SELECT lsn, key_odd, end_lsn, end_commit, end_op%s FROM %s WHERE lsn <= %d AND end_lsn > %d AND end_lsn <= %d",
			keys, t.closed(), s.after.LSN, s.after.LSN, s.upto.LSN))
}

// versions is a query of versions, without the ends that came after the segment.
func (s *segmentWriter) versions(t *table, live, closed string) string {
	columns := t.physicalList("")
	if columns != "" {
		columns = ", " + columns
	}
	until := func(column string) string {
		return fmt.Sprintf("CASE WHEN end_lsn <= %d THEN %s END AS %s", s.upto.LSN, column, column)
	}
	return fmt.Sprintf(`SELECT lsn, commit, op, odd, key_odd, NULL::BIGINT AS end_lsn, NULL::UINTEGER AS end_commit, NULL::UTINYINT AS end_op%s FROM %s WHERE %s
		UNION ALL SELECT lsn, commit, op, odd, key_odd, %s, %s, %s%s FROM %s WHERE %s`,
		columns, t.live(), live, until("end_lsn"), until("end_commit"), until("end_op"), columns, t.closed(), closed)
}

// file writes the result of a query, if it has rows.
func (s *segmentWriter) file(ctx context.Context, f segmentFile, text string) error {
	f.Name = f.Part + ".parquet"
	if f.Table >= 0 {
		f.Name = fmt.Sprintf("%s-%d.parquet", f.Part, f.Table)
	}
	path := filepath.Join(s.path, f.Name)
	var err error
	f.Rows, err = s.w.writer.exec(ctx, fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)", text, literal(path)))
	if err != nil {
		return err
	}
	if f.Rows == 0 {
		return os.Remove(path)
	}
	if f.Bytes, f.SHA256, err = digest(path); err != nil {
		return archiveError(err, path)
	}
	s.files = append(s.files, f)
	return nil
}
