package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A stream reads the server's log from one LSN on. It has a temporary copy of
// the system's slot, so that several can read at once, each from where it
// likes; the slot itself only says how far back the server keeps its log.
type stream struct {
	conn    *pgconn.PgConn
	decoder *decoder
	after   dbms.LSN // commits up to it have been given out
	place   uint64   // read up to here
	asked   bool     // how far the server is, and it has not answered
	idle    time.Time

	// waiting are transactions that were read and not given out, by number.
	waiting map[uint32]*decoded
	foreign []*foreignChange
}

// A foreignChange was made behind the engine's back. It goes with the commit
// of the lowest LSN among those that came after it in the log.
type foreignChange struct {
	events []event
	first  dbms.LSN // that LSN as far as is known; 0 if there was none yet
	// decided says that all commits that can be asked for now were read.
	decided bool
}

// copyTries bounds how often the slot is copied while it moves.
const copyTries = 5

// openStream begins to read after an LSN.
func (h *history) openStream(ctx context.Context, after dbms.LSN) (*stream, error) {
	definitions, err := h.definitionsAt(ctx, after)
	if err != nil {
		return nil, err
	}
	place, err := h.placeOf(ctx, after)
	if err != nil {
		return nil, err
	}
	conn, err := h.replication(ctx)
	if err != nil {
		return nil, err
	}
	s := &stream{conn: conn, decoder: newDecoder(h.schema, definitions), after: after, waiting: map[uint32]*decoded{}}
	if err := s.start(ctx, h, place); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// definitionsAt are those in force at an LSN.
func (h *history) definitionsAt(ctx context.Context, at dbms.LSN) ([]definition, error) {
	if err := h.stamp(ctx); err != nil {
		return nil, err
	}
	rows, err := h.sql.query(ctx, `SELECT `+definitionColumns+` FROM dbos_definition d WHERE d.lsn <= $1 ORDER BY d.n`, int64(at))
	if err != nil {
		return nil, err
	}
	definitions := make([]definition, len(rows))
	for i, r := range rows {
		if definitions[i], err = scanDefinition(r); err != nil {
			return nil, err
		}
	}
	return definitions, nil
}

// placeOf returns a place of the log that no commit after the LSN is before.
func (h *history) placeOf(ctx context.Context, after dbms.LSN) (string, error) {
	rows, err := h.sql.query(ctx, `SELECT coalesce((SELECT wal::text FROM dbos_transaction WHERE lsn <= $1 ORDER BY lsn DESC LIMIT 1),
		(SELECT value FROM dbos_history WHERE key = 'wal'))`, int64(after))
	if err != nil {
		return "", err
	}
	place, _ := rows[0][0].(string)
	return place, nil
}

func (s *stream) start(ctx context.Context, h *history, place string) error {
	name := fmt.Sprintf("dbos_r%016x", rand.Uint64())
	for try := 1; ; try++ {
		_, err := s.conn.Exec(ctx, fmt.Sprintf("SELECT pg_copy_logical_replication_slot('%s', '%s', true)", h.slot, name)).ReadAll()
		if err == nil {
			break
		}
		if try == copyTries || stateOf(err) != stateNotInState {
			return err
		}
	}
	s.conn.Frontend().SendQuery(&pgproto3.Query{String: fmt.Sprintf(
		`START_REPLICATION SLOT %s LOGICAL %s (proto_version '1', publication_names '%s')`,
		name, place, quoteName(h.publication())+","+quoteName(h.journal()))})
	if err := s.conn.Frontend().Flush(); err != nil {
		return err
	}
	for {
		m, err := s.conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.CopyBothResponse:
			return nil
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		}
	}
}

const (
	stateNotInState   = "55000"
	stateObjectInUse  = "55006"
	stateTooManySlots = "53400"
)

func (s *stream) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.conn.Close(ctx) // the server ends the session, and its temporary slot
}

// read reads until enough says so, which is asked after each transaction and
// each time the server tells how far it is.
func (s *stream) read(ctx context.Context, enough func() bool) error {
	for !enough() {
		m, err := s.conn.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.CopyData:
			if err := s.data(m.Data); err != nil {
				return err
			}
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.CopyDone:
			return errors.New("the server has ended the replication")
		}
	}
	return nil
}

// data takes one message of the stream.
func (s *stream) data(b []byte) error {
	m := &reader{data: b}
	switch m.byte() {
	case 'k':
		s.place, s.asked = max(s.place, m.uint64()), false
		m.skip(8)
		if m.byte() == 1 {
			return s.report(false)
		}
		return m.err
	case 'w':
		start := m.uint64()
		m.skip(16)
		if m.err != nil {
			return m.err
		}
		s.place = max(s.place, start)
		t, err := s.decoder.message(m.data)
		if err == nil && t != nil {
			s.take(t)
		}
		return err
	}
	return nil
}

// take keeps a transaction until it is given out.
func (s *stream) take(t *decoded) {
	if len(t.calls) == 0 {
		if len(t.events) > 0 {
			s.foreign = append(s.foreign, &foreignChange{events: t.events})
		}
		return
	}
	first, last := t.calls[0].lsn, t.calls[0].lsn
	for _, c := range t.calls {
		first, last = min(first, c.lsn), max(last, c.lsn)
	}
	for _, f := range s.foreign {
		if f.first == 0 || first < f.first {
			f.first = first
		}
	}
	if last > s.after {
		s.waiting[t.xid] = t
	}
}

// report tells the server how far the reading is, so that it need not keep
// the log for this stream. ask wants an answer.
func (s *stream) report(ask bool) error {
	b := []byte{'r'}
	for range 3 {
		b = binary.BigEndian.AppendUint64(b, s.place)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(time.Now().UnixMicro()-epoch))
	if ask {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	s.conn.Frontend().Send(&pgproto3.CopyData{Data: b})
	return s.conn.Frontend().Flush()
}

// readTo reads up to a place of the log.
func (s *stream) readTo(ctx context.Context, place uint64) error {
	return s.read(ctx, func() bool {
		if s.place < place && !s.asked { // the answer is how far the server is
			s.asked = true
			_ = s.report(true) // a broken connection is seen by reading
		}
		return s.place >= place
	})
}

// parsePlace reads a place of the log as the server writes it.
func parsePlace(text string) (uint64, error) {
	var high, low uint32
	if _, err := fmt.Sscanf(text, "%X/%X", &high, &low); err != nil {
		return 0, abi.Errorf("dbms.changes", abi.Corrupt, "place of the log", "%q: %w", text, err)
	}
	return uint64(high)<<32 | uint64(low), nil
}

// Streams that nobody reads are kept for a while, because opening one makes
// the server read its log again from where the slot is.
const (
	idleStreams = 4
	idleTime    = 30 * time.Second
)

// stream returns one that stands at the LSN: kept from an earlier call, or new.
func (h *history) stream(ctx context.Context, after dbms.LSN) (s *stream, kept bool, err error) {
	h.mu.Lock()
	for i, s := range h.streams {
		if s.after == after {
			h.streams = append(h.streams[:i:i], h.streams[i+1:]...)
			h.mu.Unlock()
			return s, true, nil
		}
	}
	h.mu.Unlock()
	s, err = h.openStream(ctx, after)
	if stateOf(err) == stateTooManySlots {
		h.closeIdle(0)
		if s, err = h.openStream(ctx, after); stateOf(err) == stateTooManySlots {
			err = abi.Errorf("dbms.changes", abi.Exhausted, "replication slots", "%w", plain(err)).
				WithHint("raise the server's max_replication_slots: each reader of changes needs one while it reads")
		}
	}
	return s, false, err
}

// keep puts a stream aside for the next call that goes on where it stands.
func (h *history) keep(s *stream) {
	s.idle = time.Now()
	_ = s.report(false) // a broken connection is seen by the next reader
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		s.close()
		return
	}
	h.streams = append(h.streams, s)
	h.mu.Unlock()
	h.closeIdle(idleTime)
}

// closeIdle closes streams that have been idle for a time, and the oldest if
// there are too many.
func (h *history) closeIdle(after time.Duration) {
	h.mu.Lock()
	var old []*stream
	for len(h.streams) > 0 && (len(h.streams) > idleStreams || time.Since(h.streams[0].idle) >= after) {
		old = append(old, h.streams[0])
		h.streams = h.streams[1:]
	}
	h.mu.Unlock()
	for _, s := range old {
		s.close()
	}
}
