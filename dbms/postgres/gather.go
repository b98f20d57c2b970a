package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

const (
	// maxGathered is how many calls one statement takes.
	maxGathered = 512
	// lanes is how many statements of one query run at once. While the first
	// does, further calls gather; the second is opened when it would be full.
	lanes = 2
)

// gatherings are the calls that wait, by query.
type gatherings struct {
	mu      sync.Mutex
	byQuery map[*dbms.Query]*gathering
}

// A gathering is the calls of one query.
type gathering struct {
	db      *DB
	q       *dbms.Query
	waiting []*gathered
	active  int // lanes in use
}

// A gathered is one call.
type gathered struct {
	ctx    context.Context
	call   abi.Call
	values []dbms.Value
	nonce  int64
	done   chan struct{}
	rows   [][]dbms.Value
	err    error
}

// Gather implements dbms.Gatherer.
func (db *DB) Gather(ctx context.Context, call abi.Call, q *dbms.Query, args ...any) ([][]dbms.Value, error) {
	if err := call.Check("dbms.gather"); err != nil {
		return nil, err
	}
	if err := db.enter("dbms.gather"); err != nil {
		return nil, err
	}
	defer db.users.Done()
	if ctx.Err() != nil {
		return nil, stopCause(ctx)
	}
	g := &gathered{ctx: ctx, call: call, nonce: rand.Int64(), done: make(chan struct{})}
	if call.Start.IsZero() {
		g.call.Start = time.Now()
	}
	for _, arg := range args {
		v, err := dbms.ToValue(arg)
		if err == nil {
			err = checkElement(v)
		}
		if err != nil {
			return nil, err
		}
		g.values = append(g.values, v)
	}
	db.gather(q, g)
	<-g.done
	return g.rows, g.err
}

// gather adds a call and opens a lane if one is free.
func (db *DB) gather(q *dbms.Query, g *gathered) {
	db.gatherings.mu.Lock()
	defer db.gatherings.mu.Unlock()
	if db.gatherings.byQuery == nil {
		db.gatherings.byQuery = map[*dbms.Query]*gathering{}
	}
	all := db.gatherings.byQuery[q]
	if all == nil {
		all = &gathering{db: db, q: q}
		db.gatherings.byQuery[q] = all
	}
	all.waiting = append(all.waiting, g)
	if all.active == 0 || all.active < lanes && len(all.waiting) >= maxGathered {
		all.active++
		go all.lane()
	}
}

// lane runs what waits until nothing does.
func (gs *gathering) lane() {
	for {
		batch := gs.take()
		if batch == nil {
			return
		}
		gs.run(batch)
		for _, g := range batch {
			close(g.done)
		}
	}
}

// take returns the next calls whose callers still wait; nil closes the lane.
func (gs *gathering) take() []*gathered {
	mu := &gs.db.gatherings.mu
	mu.Lock()
	defer mu.Unlock()
	n := min(len(gs.waiting), maxGathered)
	if n == 0 {
		gs.active--
		return nil
	}
	batch := gs.waiting[:n:n]
	gs.waiting = gs.waiting[n:]
	if len(gs.waiting) == 0 {
		gs.waiting = nil
	}
	return batch
}

// run does the calls. If their statement fails for any other reason than a
// conflict, each is done alone, so that none suffers for another.
func (gs *gathering) run(batch []*gathered) {
	batch = waiting(batch)
	if len(batch) == 0 {
		return
	}
	// The statement ends by itself; a caller whose context ends is no reason
	// to stop it for the others, unless he is the only one.
	ctx := context.Background()
	if len(batch) == 1 {
		ctx = batch[0].ctx
	}
	u := &update{db: gs.db, caller: ctx, ctx: ctx, pool: gs.db.committed, call: batch[0].call}
	for {
		done := gs.attempt(u, batch)
		if !done {
			continue
		}
		if u.err == nil {
			return
		}
		if len(batch) > 1 && !disconnected(u.err) && abi.KindOf(u.err) != abi.Unknown && abi.KindOf(u.err) != abi.Unavailable {
			for _, g := range batch {
				gs.run([]*gathered{g})
			}
			return
		}
		for _, g := range batch {
			g.err = u.err
		}
		return
	}
}

// waiting leaves out calls whose context has ended.
func waiting(batch []*gathered) []*gathered {
	var alive []*gathered
	for _, g := range batch {
		if g.ctx.Err() != nil {
			g.err = stopCause(g.ctx)
			continue
		}
		alive = append(alive, g)
	}
	return alive
}

// attempt makes one run, and reports whether it was the last. u.err is its
// result.
func (gs *gathering) attempt(u *update, batch []*gathered) bool {
	db := gs.db
	l, err := db.committed.get(u.ctx)
	if err != nil {
		return u.unconnected(err)
	}
	ctx, cancel := context.WithTimeoutCause(u.ctx, db.timeout+commitPatience, errTime(db.timeout+commitPatience))
	defer cancel()
	t := db.newTx(ctx, l.conn, txMode{purpose: forCommitted})
	t.now = db.clock.Micros()
	defer t.guard.stop()
	if !t.guard.enter() {
		l.release()
		return u.end(stopCause(ctx))
	}
	before := db.last.Load()
	rows, sent, err := gs.send(ctx, t, batch)
	cancelled := t.guard.leave()
	switch {
	case err == nil:
		gs.deliver(batch, rows)
		if cancelled {
			l.discard()
		} else {
			l.release()
		}
		return u.end(nil)
	case l.broken && sent:
		name := l.name
		l.discard()
		return gs.settle(u, name, batch[0].nonce, before)
	case l.broken, cancelled:
		l.discard()
		if ctx.Err() != nil {
			return u.end(stopCause(ctx))
		}
		return u.unconnected(err)
	}
	t.rollback()
	l.release()
	switch state := stateOf(err); {
	case conflicts(err):
		return u.conflicted(err)
	case state == stateNoStatement, state == statePlanChanged && strings.Contains(err.Error(), "cached plan"):
		db.generation.Add(1)
		return false
	}
	return u.end(statementError(gs.q.Text(Engine), err))
}

// settle finds out whether the calls were done whose connection broke. Their
// rows are lost in any case.
func (gs *gathering) settle(u *update, name string, nonce, before int64) bool {
	lsn, err := gs.db.resolve(u.caller, name, nonce, before)
	switch {
	case err != nil:
		return u.end(err)
	case lsn == 0:
		return u.unconnected(errBroken)
	}
	return u.end(abi.Errorf("dbms.gather", abi.Unknown, "statement "+gs.q.Name, "it was done, but its result was lost with the connection").
		WithHint("ask again: the call must be the same when it is done twice"))
}

// send runs the statement and commits. sent says that the server may have got
// the commit.
func (gs *gathering) send(ctx context.Context, t *tx, batch []*gathered) (rows [][]dbms.Value, sent bool, err error) {
	if err := t.begin(ctx); err != nil {
		return nil, false, err
	}
	if t.db.settings.pooled {
		// From here the transaction can be seen while it is under way: see
		// awaitOlder.
		t.conn.queue(&statement{text: "SELECT pg_current_xact_id()"}, nil)
		if err := t.conn.drainNow(); err != nil {
			return nil, false, err
		}
	}
	n := len(batch[0].values)
	s, err := t.conn.prepare(withCalls(gs.q.Text(Engine), n), nil, true)
	if err != nil {
		return nil, false, err
	}
	if want := n + callColumns; len(s.params) != want {
		return nil, false, abi.Errorf("dbms.gather", abi.Invalid, "statement "+gs.q.Name, "it has %d parameters, %d arguments were passed", len(s.params)-callColumns, n)
	}
	params := make([]param, 0, n+callColumns)
	for i := range n {
		p, err := encodeArray(s.params[i], len(batch), func(j int) dbms.Value { return batch[j].values[i] })
		if err != nil {
			return nil, false, err
		}
		params = append(params, p)
	}
	params = append(params, t.db.callParams(t.now, batch)...)
	rows, err = t.conn.finish(s, params)
	return rows, true, err
}

// deliver gives each call its rows.
func (gs *gathering) deliver(batch []*gathered, rows [][]dbms.Value) {
	for _, row := range rows {
		n, _ := row[0].(int64)
		if n >= 1 && n <= int64(len(batch)) {
			g := batch[n-1]
			g.rows = append(g.rows, row[1:])
		}
	}
}

// callColumns is how many parameters withCalls adds.
const callColumns = 9

// withCalls adds to a statement with n parameters the record of its calls. A
// part of WITH that nobody reads runs last, so the lock on tickets is held
// for no longer than the commit takes.
func withCalls(text string, n int) string {
	p := func(i int) string { return fmt.Sprintf("$%d", n+i) }
	record := `dbos_call AS (INSERT INTO dbos_transaction (lsn, at, procedure, principal, execution, step, node, started_at, nonce, xid, wal)
		SELECT nextval('dbos_lsn'), ` + p(1) + `::bigint, c.procedure, c.principal, nullif(c.execution, ''),
			CASE WHEN c.execution <> '' THEN c.step END, ` + p(2) + `::text, c.started_at, c.nonce, pg_current_xact_id()::text::bigint, ticket.wal
		FROM (SELECT pg_current_wal_insert_lsn() AS wal FROM pg_advisory_xact_lock_shared(` + p(3) + `::bigint) OFFSET 0) AS ticket,
			unnest(` + p(4) + `::text[], ` + p(5) + `::text[], ` + p(6) + `::text[], ` + p(7) + `::bigint[], ` + p(8) + `::bigint[], ` + p(9) + `::bigint[])
			AS c (procedure, principal, execution, step, started_at, nonce))`
	with, recursive, at := "", "", 0
	scan(text, func(t token) bool {
		switch {
		case with == "" && t.kind == tokenWord && t.text == "with":
			with, at = ", ", t.at+len("with")
			return true
		case with != "" && t.kind == tokenWord && t.text == "recursive":
			recursive, at = "RECURSIVE ", t.at+len("recursive")
		}
		return false
	})
	if with == "" {
		with = " "
	}
	return "WITH " + recursive + record + with + strings.TrimSpace(text[at:])
}

// callParams are the parameters that withCalls adds.
func (db *DB) callParams(now int64, batch []*gathered) []param {
	column := func(oid uint32, value func(abi.Call, *gathered) dbms.Value) param {
		p, _ := encodeArray(oid, len(batch), func(i int) dbms.Value { return value(batch[i].call, batch[i]) }) // of the right type
		return p
	}
	number := func(n int64) param { return param{binaryFormat, binary.BigEndian.AppendUint64(nil, uint64(n))} }
	text, ints := uint32(pgtype.TextArrayOID), uint32(pgtype.Int8ArrayOID)
	return []param{
		number(now), textParam(db.node), number(db.ticketLock),
		column(text, func(c abi.Call, _ *gathered) dbms.Value { return c.Procedure }),
		column(text, func(c abi.Call, _ *gathered) dbms.Value { return string(c.Principal) }),
		column(text, func(c abi.Call, _ *gathered) dbms.Value { return c.Execution }),
		column(ints, func(c abi.Call, _ *gathered) dbms.Value { return int64(c.Step) }),
		column(ints, func(c abi.Call, _ *gathered) dbms.Value { return c.Start.UnixMicro() }),
		column(ints, func(_ abi.Call, g *gathered) dbms.Value { return g.nonce }),
	}
}

// elements are the types of arrays' elements.
var elements = map[uint32]uint32{
	pgtype.Int8ArrayOID: pgtype.Int8OID, pgtype.TextArrayOID: pgtype.TextOID, pgtype.ByteaArrayOID: pgtype.ByteaOID, pgtype.Float8ArrayOID: pgtype.Float8OID,
}

// checkElement refuses what no array holds, before it is gathered.
func checkElement(v dbms.Value) error {
	if s, ok := v.(string); ok {
		_, err := encodeParam(pgtype.TextOID, s, nil)
		return err
	}
	return nil
}

// encodeArray makes an array parameter of n values.
func encodeArray(oid uint32, n int, value func(int) dbms.Value) (param, error) {
	element, ok := elements[oid]
	if !ok {
		return param{}, abi.Errorf("dbms.gather", abi.Invalid, "statement", "a parameter has type %d; cast it to bigint[], text[], bytea[] or double precision[]", oid)
	}
	be := binary.BigEndian
	b := make([]byte, 0, 20+n*16)
	for _, word := range []uint32{1, 1, element, uint32(n), 1} { // dimensions, may hold NULL, type, length, first index
		b = be.AppendUint32(b, word)
	}
	for i := range n {
		var bytes []byte
		switch v := value(i).(type) {
		case nil:
			b = be.AppendUint32(b, math.MaxUint32)
			continue
		case int64:
			bytes = be.AppendUint64(nil, uint64(v))
		case float64:
			bytes = be.AppendUint64(nil, math.Float64bits(v))
		case string:
			bytes = []byte(v)
		case []byte:
			bytes = v
		}
		if (element == pgtype.Int8OID || element == pgtype.Float8OID) && len(bytes) != 8 {
			return param{}, abi.Errorf("dbms.gather", abi.Invalid, "argument", "%v is no number", value(i))
		}
		b = append(be.AppendUint32(b, uint32(len(bytes))), bytes...)
	}
	return param{binaryFormat, b}, nil
}
