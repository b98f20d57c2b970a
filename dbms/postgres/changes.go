package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// ticketStep is the distance of tickets: a transaction's changes have the
// numbers before its ticket.
const ticketStep = 1_000_000

// A listed commit is one of which dbos_transaction says what belongs to it.
type listed struct {
	dbms.Commit
	xid      int64
	snapshot string // of the server, if it was kept
}

// changes implements DB.Changes.
func (h *history) changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	if limit < 1 || limit > dbms.MaxBatch {
		return nil, abi.Errorf("dbms.changes", abi.Invalid, "argument limit", "%d is outside 1 to %d", limit, dbms.MaxBatch)
	}
	if after < 0 {
		return nil, abi.Errorf("dbms.changes", abi.Invalid, "argument after", "%d is negative", after)
	}
	commits, state, err := h.list(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	if err := trimmed(after, state); err != nil {
		return nil, err
	}
	if len(commits) == 0 || state.capture == captureOff {
		return plainCommits(commits), nil
	}
	if state.capture == captureLogical {
		err = h.readLog(ctx, after, commits)
	} else {
		err = h.readJournal(ctx, commits)
	}
	// Asked last, so that nothing can have been trimmed under the reading.
	if state, again := h.state(ctx, h.sql); again == nil {
		h.oldest.Store(state.oldest)
		if gone := trimmed(after, state); gone != nil {
			return nil, gone
		}
	}
	if err != nil {
		return nil, err
	}
	return plainCommits(commits), nil
}

func plainCommits(list []listed) []dbms.Commit {
	var commits []dbms.Commit
	for _, c := range list {
		commits = append(commits, c.Commit)
	}
	return commits
}

func trimmed(after dbms.LSN, s historyState) error {
	if !s.ready {
		return abi.Errorf("dbms.changes", abi.Unavailable, "history", "its capture is being set up").WithHint("try again in a moment")
	}
	if int64(after) < s.oldest {
		return abi.Errorf("dbms.changes", abi.Trimmed, fmt.Sprintf("LSN %d", after), "history begins at LSN %d", s.oldest).
			WithHint("continue from LSN %d, or keep history longer", s.oldest)
	}
	return nil
}

// list returns the next commits. It ends before one that may still be under
// way: tickets are not missing among those it returns, or a barrier has shown
// that those that are will never come.
func (h *history) list(ctx context.Context, after dbms.LSN, limit int) ([]listed, historyState, error) {
	state, err := h.state(ctx, h.sql)
	if err != nil {
		return nil, state, err
	}
	h.oldest.Store(state.oldest)
	commits, err := h.listVisible(ctx, after, limit)
	if err != nil || len(commits) == 0 {
		return nil, state, err
	}
	next, n := (after/ticketStep+1)*ticketStep, 0
	for n < len(commits) && commits[n].LSN == next {
		next, n = next+ticketStep, n+1
	}
	if n > 0 {
		return commits[:n], state, nil
	}
	upto, err := h.barrier(ctx)
	if err != nil {
		return nil, state, err
	}
	if commits, err = h.listVisible(ctx, after, limit); err != nil {
		return nil, state, err
	}
	n, _ = slices.BinarySearchFunc(commits, upto+1, func(c listed, lsn dbms.LSN) int { return int(c.LSN - lsn) })
	return commits[:n], state, nil
}

func (h *history) listVisible(ctx context.Context, after dbms.LSN, limit int) ([]listed, error) {
	rows, err := h.sql.query(ctx, `SELECT lsn, at, procedure, principal, execution, step, node, started_at, xid, note, snapshot
		FROM dbos_transaction WHERE lsn > $1 ORDER BY lsn LIMIT $2`, int64(after), int64(limit))
	if err != nil {
		return nil, err
	}
	commits := make([]listed, len(rows))
	for i, r := range rows {
		c := &commits[i]
		c.LSN, c.Time, c.xid = dbms.LSN(r[0].(int64)), time.UnixMicro(r[1].(int64)).UTC(), r[8].(int64)
		c.Call = abi.Call{Procedure: r[2].(string), Principal: abi.Principal(r[3].(string)), Node: r[6].(string), Start: time.UnixMicro(r[7].(int64)).UTC()}
		if execution, ok := r[4].(string); ok {
			step, _ := r[5].(int64)
			c.Call.Execution, c.Call.Step = execution, int(step)
		}
		c.Note, _ = r[9].([]byte)
		c.snapshot, _ = r[10].(string)
		c.Snapshot = max(0, c.LSN-ticketStep)
	}
	return commits, h.seen(ctx, after, commits)
}

// distribute gives each of the commits that one transaction holds its
// changes: a change whose leading key column is a call's execution is that
// call's; all others are the first call's.
func distribute(events []event, calls []recordedCall) map[dbms.LSN][]event {
	if len(calls) == 1 {
		return map[dbms.LSN][]event{calls[0].lsn: events}
	}
	first := slices.MinFunc(calls, func(a, b recordedCall) int { return int(a.lsn - b.lsn) })
	owner := map[string]dbms.LSN{}
	for _, c := range calls {
		if _, twice := owner[c.execution]; c.execution != "" && (!twice || c.lsn < owner[c.execution]) {
			owner[c.execution] = c.lsn
		}
	}
	parts := map[dbms.LSN][]event{}
	for _, e := range events {
		lsn := first.lsn
		if len(e.key) > 0 {
			if text, ok := e.key[0].(string); ok && owner[text] != 0 {
				lsn = owner[text]
			}
		}
		parts[lsn] = append(parts[lsn], e)
	}
	return parts
}

// number makes the changes of a commit. They have the numbers just below the
// commit's; if there are more than fit below it, the first ones share one.
func number(lsn dbms.LSN, events []event) []dbms.Change {
	if len(events) == 0 {
		return nil
	}
	changes := make([]dbms.Change, len(events))
	for i, e := range events {
		changes[i] = e.change(max(lsn-dbms.LSN(len(events)-i), lsn-ticketStep+1))
	}
	return changes
}

// readLog reads the commits' changes from the server's log.
func (h *history) readLog(ctx context.Context, after dbms.LSN, commits []listed) error {
	kept, err := h.tryLog(ctx, after, commits)
	if kept && err != nil && ctx.Err() == nil {
		// The stream was kept from an earlier call and may have died since.
		_, err = h.tryLog(ctx, after, commits)
	}
	if stateOf(err) == "" || ctx.Err() != nil {
		return err
	}
	if lost := h.keepSlot(ctx); lost != nil {
		return lost
	}
	return err
}

// tryLog does so with a stream, and tells whether that was kept from earlier.
func (h *history) tryLog(ctx context.Context, after dbms.LSN, commits []listed) (kept bool, err error) {
	s, kept, err := h.stream(ctx, after)
	if err != nil {
		return kept, err
	}
	if err := s.fill(ctx, h, commits); err != nil {
		s.close()
		return kept, err
	}
	h.keep(s)
	return kept, nil
}

// fill reads the log until it has all the commits, and gives them their
// changes.
func (s *stream) fill(ctx context.Context, h *history, commits []listed) error {
	next := 0
	found := func() bool {
		for next < len(commits) && s.waiting[uint32(commits[next].xid)] != nil {
			next++
		}
		return next == len(commits)
	}
	if !found() {
		end, err := h.flush(ctx, false)
		if err != nil {
			return err
		}
		// The commits are visible, so they are before the end.
		if err := s.read(ctx, func() bool { return found() || s.place > end }); err != nil {
			return err
		}
		if !found() {
			return corruptLog("it does not have transaction %d of commit %d", commits[next].xid, commits[next].LSN)
		}
	}
	if s.undecided(commits[len(commits)-1].LSN) {
		if err := s.readAll(ctx, h); err != nil {
			return err
		}
	}
	s.give(commits)
	return nil
}

// undecided reports whether a foreign change may go with one of the commits
// up to an LSN, but perhaps has gone with an earlier one, whose place in the
// log is later.
func (s *stream) undecided(upto dbms.LSN) bool {
	return slices.ContainsFunc(s.foreign, func(f *foreignChange) bool { return !f.decided && f.first != 0 && f.first <= upto })
}

// readAll reads up to the end of the log as it is now, so that it is known
// with which commit a foreign change goes.
func (s *stream) readAll(ctx context.Context, h *history) error {
	last, err := h.barrier(ctx)
	if err != nil {
		return err
	}
	end, err := h.flush(ctx, true)
	if err != nil {
		return err
	}
	if err := s.readTo(ctx, end); err != nil {
		return err
	}
	for _, f := range s.foreign {
		f.decided = f.first != 0 && f.first <= last // lower ones have ended
	}
	return nil
}

// give hands out what was read for the commits.
func (s *stream) give(commits []listed) {
	parts := map[uint32]map[dbms.LSN][]event{}
	for i := range commits {
		c := &commits[i]
		xid := uint32(c.xid)
		if parts[xid] == nil {
			parts[xid] = distribute(s.waiting[xid].events, s.waiting[xid].calls)
		}
		var events []event
		for _, f := range s.foreign {
			if f.first == c.LSN {
				events = append(events, f.events...)
			}
		}
		c.Changes = number(c.LSN, append(events, parts[xid][c.LSN]...))
	}
	s.after = commits[len(commits)-1].LSN
	s.foreign = slices.DeleteFunc(s.foreign, func(f *foreignChange) bool { return f.first != 0 && f.first <= s.after })
	for xid, t := range s.waiting {
		if !slices.ContainsFunc(t.calls, func(c recordedCall) bool { return c.lsn > s.after }) {
			delete(s.waiting, xid)
		}
	}
}

// flush makes the server write its log down as far as it is, and returns that
// place: it sends only what is on its disk, and commits that do not wait for
// the disk would be sent only after a while. If beyond is set, the log goes on
// behind the place.
func (h *history) flush(ctx context.Context, beyond bool) (uint64, error) {
	rows, err := h.sql.query(ctx, "SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn(), pg_current_wal_insert_lsn()::text")
	if err != nil {
		return 0, err
	}
	end, err := parsePlace(rows[0][1].(string))
	if err != nil || rows[0][0] != int64(1) && !beyond {
		return end, err
	}
	return end, h.transact(ctx, func(tx executor) error {
		if err := tx.exec(ctx, "SET LOCAL synchronous_commit = local"); err != nil {
			return err
		}
		return tx.exec(ctx, "SELECT pg_logical_emit_message(true, 'dbos', '')")
	})
}

// readJournal reads the commits' changes from the history tables.
func (h *history) readJournal(ctx context.Context, commits []listed) error {
	var xids []string
	for _, c := range commits {
		if x := fmt.Sprint(c.xid); len(xids) == 0 || xids[len(xids)-1] != x {
			xids = append(xids, x)
		}
	}
	j := journal{h: h, xids: "{" + strings.Join(xids, ",") + "}"}
	events, err := j.read(ctx)
	if err != nil {
		return err
	}
	calls, err := j.calls(ctx)
	if err != nil {
		return err
	}
	parts := map[int64]map[dbms.LSN][]event{}
	for i := range commits {
		c := &commits[i]
		if parts[c.xid] == nil {
			parts[c.xid] = distribute(events[c.xid], calls[c.xid])
		}
		c.Changes = number(c.LSN, parts[c.xid][c.LSN])
	}
	return nil
}
