package postgres

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A decoded transaction is one that was read from the server's log.
type decoded struct {
	xid    uint32
	calls  []recordedCall // none if it was not the engine's
	events []event
}

// A recordedCall is one row of dbos_transaction: a gathered transaction has
// several.
type recordedCall struct {
	lsn       dbms.LSN
	execution string
}

// A decoder makes transactions of the messages of logical decoding
// (PostgreSQL, "Logical Replication Message Formats").
type decoder struct {
	schema    string
	tables    map[int64]*definition // in force, by the table's OID
	histories map[int64]*definition // in force, by the history table's OID
	relations map[uint32]*decodedRelation
	current   *decoded
}

// A decodedRelation is a table as the log describes it.
type decodedRelation struct {
	name    string
	columns []string
	types   []uint32
	// table is what changes are of, and positions where its columns are: of
	// the relation itself, or, if it is a history table, of its table.
	table   *definition
	row     []int
	key     []int
	own     ownRelation
	adopted *definition // the table's definition when these were found
}

// An ownRelation is one of the engine's own tables.
type ownRelation int

const (
	notOwn ownRelation = iota
	ownTransaction
	ownDefinition
	ownHistory
)

func newDecoder(schema string, definitions []definition) *decoder {
	d := &decoder{schema: schema, tables: map[int64]*definition{}, histories: map[int64]*definition{}, relations: map[uint32]*decodedRelation{}}
	for i := range definitions {
		d.define(&definitions[i])
	}
	return d
}

// define takes a definition into force.
func (d *decoder) define(def *definition) {
	if def.op == dbms.Drop {
		delete(d.tables, def.relid)
		return
	}
	d.tables[def.relid] = def
	if def.history != 0 {
		d.histories[def.history] = def
	}
}

// message decodes one message. It returns a transaction when it is complete.
func (d *decoder) message(data []byte) (*decoded, error) {
	m := &reader{data: data}
	switch kind := m.byte(); kind {
	case 'B':
		m.skip(16)
		d.current = &decoded{xid: m.uint32()}
	case 'C':
		done := d.current
		d.current = nil
		if done != nil {
			arrange(done.events)
		}
		return done, m.err
	case 'R':
		d.relation(m)
	case 'I', 'U', 'D':
		if err := d.change(kind, m); err != nil {
			return nil, err
		}
	case 'T':
		return nil, corruptLog("a TRUNCATE, which history cannot follow; it was let through by a superuser")
	}
	return nil, m.err
}

func corruptLog(format string, args ...any) error {
	return abi.Errorf("dbms.changes", abi.Corrupt, "the server's log", format, args...)
}

func (d *decoder) relation(m *reader) {
	oid := m.uint32()
	schema := m.text()
	r := &decodedRelation{name: m.text()}
	m.skip(1)
	for range m.uint16() {
		m.skip(1)
		r.columns = append(r.columns, m.text())
		r.types = append(r.types, m.uint32())
		m.skip(4)
	}
	switch {
	case schema != d.schema:
	case r.name == "dbos_transaction":
		r.own = ownTransaction
	case r.name == "dbos_definition":
		r.own = ownDefinition
	case strings.HasPrefix(r.name, "h_"):
		r.own = ownHistory
	}
	d.relations[oid] = r
}

// change decodes an insert, update or delete.
func (d *decoder) change(kind byte, m *reader) error {
	oid := m.uint32()
	r := d.relations[oid]
	if r == nil || d.current == nil {
		return corruptLog("a change of relation %d that was not announced", oid)
	}
	var old, new [][]byte
	for !m.end() {
		switch m.byte() {
		case 'O', 'K':
			old = m.tuple(nil)
		case 'N':
			new = m.tuple(old)
		}
	}
	if m.err != nil {
		return m.err
	}
	switch r.own {
	case ownTransaction:
		return d.call(r, new)
	case ownDefinition:
		return d.definition(r, new)
	case ownHistory:
		return d.recorded(oid, r, new)
	}
	def := d.tables[int64(oid)]
	if def == nil {
		// Published, but never defined: another session has put it there.
		return nil
	}
	r.adopt(def)
	return d.rowChange(r, kind, old, new)
}

// adopt finds where the definition's columns are.
func (r *decodedRelation) adopt(def *definition) {
	if r.adopted == def {
		return
	}
	r.adopted, r.table = def, def
	r.row, r.key = positions(def.columns, r.columns), positions(def.key, r.columns)
	for i, name := range r.columns {
		for _, c := range def.shape.Columns {
			if c.Name == name {
				r.types[i] = c.Base // a domain is what it is made of
			}
		}
	}
}

func positions(of, in []string) []int {
	at := make([]int, len(of))
	for i, name := range of {
		at[i] = slices.Index(in, name)
	}
	return at
}

func (d *decoder) rowChange(r *decodedRelation, kind byte, old, new [][]byte) error {
	var e event
	e.table = r.table
	var err error
	if kind == 'D' {
		e.op = dbms.Delete
		if e.key, err = r.values(r.key, old); err != nil {
			return err
		}
		d.current.events = append(d.current.events, e)
		return nil
	}
	e.op = dbms.Insert
	if e.row, err = r.values(r.row, new); err != nil {
		return err
	}
	if e.key, err = r.values(r.key, new); err != nil {
		return err
	}
	if kind == 'U' {
		e.op = dbms.Update
		if old != nil && !r.sameKey(old, new) {
			before := event{table: r.table, op: dbms.Delete}
			if before.key, err = r.values(r.key, old); err != nil {
				return err
			}
			d.current.events = append(d.current.events, before)
			e.op = dbms.Insert
		}
	}
	d.current.events = append(d.current.events, e)
	return nil
}

func (r *decodedRelation) sameKey(a, b [][]byte) bool {
	for _, at := range r.key {
		if at < 0 || at >= len(a) || at >= len(b) || string(a[at]) != string(b[at]) {
			return false
		}
	}
	return true
}

// values decodes the columns at the given places.
func (r *decodedRelation) values(places []int, tuple [][]byte) ([]dbms.Value, error) {
	vs := make([]dbms.Value, len(places))
	for i, at := range places {
		if at < 0 || at >= len(tuple) {
			continue // behind the engine's back a column has gone
		}
		var err error
		if vs[i], err = decodeColumn(r.types[at], tuple[at]); err != nil {
			return nil, err
		}
	}
	return vs, nil
}

// named returns a column's text, or "".
func (r *decodedRelation) named(tuple [][]byte, column string) string {
	if at := slices.Index(r.columns, column); at >= 0 && at < len(tuple) {
		return string(tuple[at])
	}
	return ""
}

func (d *decoder) call(r *decodedRelation, tuple [][]byte) error {
	lsn, err := strconv.ParseInt(r.named(tuple, "lsn"), 10, 64)
	d.current.calls = append(d.current.calls, recordedCall{dbms.LSN(lsn), r.named(tuple, "execution")})
	return err
}

func (d *decoder) definition(r *decodedRelation, tuple [][]byte) error {
	def := &definition{
		table: r.named(tuple, "name"), op: dbms.Op(r.named(tuple, "op")), sql: r.named(tuple, "sql"), renamed: r.named(tuple, "renamed"),
	}
	for column, dest := range map[string]any{
		"n": &def.n, "relid": &def.relid, "history": &def.history,
		"columns": &def.columns, "key": &def.key, "shape": &def.shape,
	} {
		if text := r.named(tuple, column); text != "" {
			if err := json.Unmarshal([]byte(text), dest); err != nil {
				return corruptLog("definition of table %s: %w", def.table, err)
			}
		}
	}
	if text := r.named(tuple, "defaults"); text != "" {
		var err error
		if def.defaults, err = dbms.UnmarshalValues([]byte(text)); err != nil {
			return err
		}
	}
	d.define(def)
	if at := r.named(tuple, "lsn"); at == "" {
		d.current.events = append(d.current.events, event{table: def, op: def.op})
	}
	return nil
}

// recorded decodes a change that a trigger has recorded.
func (d *decoder) recorded(oid uint32, r *decodedRelation, tuple [][]byte) error {
	def := d.histories[int64(oid)]
	if def == nil {
		return nil
	}
	if r.adopted != def {
		r.adopt(def)
		r.key = positions(recordedKey(def), r.columns)
	}
	e := event{table: def, op: dbms.Op(r.named(tuple, "dbos_op")), before: r.named(tuple, "dbos_old"), after: r.named(tuple, "dbos_new")}
	var err error
	if len(def.shape.Key) == 0 {
		e.key = []dbms.Value{e.place()}
	} else if e.key, err = r.values(r.key, tuple); err != nil {
		return err
	}
	if e.op != dbms.Delete {
		if e.row, err = r.values(r.row, tuple); err != nil {
			return err
		}
	}
	d.current.events = append(d.current.events, e)
	return nil
}

// recordedKey are the key's columns in the history table.
func recordedKey(def *definition) []string {
	if len(def.shape.Key) == 0 {
		return nil
	}
	return def.key
}

// place identifies a row without a key.
func (e event) place() string {
	if e.op == dbms.Delete {
		return e.before
	}
	return e.after
}

// A reader takes a message apart. It is all zeros after an error.
type reader struct {
	data []byte
	err  error
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.data) {
		r.err = corruptLog("a message is too short")
		r.data = nil
		return make([]byte, 8)
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}

func (r *reader) end() bool      { return len(r.data) == 0 }
func (r *reader) skip(n int)     { r.take(n) }
func (r *reader) byte() byte     { return r.take(1)[0] }
func (r *reader) uint16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) text() string {
	for i, b := range r.data {
		if b == 0 {
			return string(r.take(i + 1)[:i])
		}
	}
	r.take(len(r.data) + 1)
	return ""
}

// tuple reads a row. What has not changed of a large value is not in it, and
// taken from the old row.
func (r *reader) tuple(old [][]byte) [][]byte {
	n := int(r.uint16())
	row := make([][]byte, n)
	for i := range row {
		switch r.byte() {
		case 'u':
			if i < len(old) {
				row[i] = old[i]
			}
		case 't', 'b':
			size := int(r.uint32())
			row[i] = append(make([]byte, 0, size), r.take(size)...)
		}
	}
	return row
}
