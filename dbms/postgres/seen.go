package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// overlap is how many commits before a batch are looked at for ones that a
// transaction of the batch has not seen. A transaction that others overtook
// more often would be said to have seen a little more than it did.
const overlap = 512

// seen finds for each commit with a kept snapshot the last LSN up to which the
// transaction had seen everything: the one before the first commit that its
// snapshot does not show.
func (h *history) seen(ctx context.Context, after dbms.LSN, commits []listed) error {
	if !slices.ContainsFunc(commits, func(c listed) bool { return c.snapshot != "" }) {
		return nil
	}
	rows, err := h.sql.query(ctx, "SELECT lsn, xid FROM dbos_transaction WHERE lsn <= $1 ORDER BY lsn DESC LIMIT $2", int64(after), int64(overlap))
	if err != nil {
		return err
	}
	var recent []listed
	for _, r := range rows {
		recent = append(recent, listed{Commit: dbms.Commit{LSN: dbms.LSN(r[0].(int64))}, xid: r[1].(int64)})
	}
	slices.Reverse(recent)
	before := len(recent)
	recent = append(recent, commits...)
	for i := range commits {
		c := &commits[i]
		if c.snapshot == "" {
			continue
		}
		shown := parseSnapshot(c.snapshot)
		for _, other := range recent[max(0, before+i-overlap) : before+i] {
			if other.xid != c.xid && !shown.has(other.xid) {
				c.Snapshot = other.LSN - ticketStep
				break
			}
		}
	}
	return nil
}

// A serverSnapshot says which transactions a snapshot of the server shows.
type serverSnapshot struct {
	xmin, xmax int64   // all below xmin have ended, none from xmax on had begun
	running    []int64 // between them
}

// parseSnapshot reads a pg_snapshot, such as 10:20:10,14,15.
func parseSnapshot(text string) serverSnapshot {
	var s serverSnapshot
	parts := strings.SplitN(text, ":", 3)
	if len(parts) != 3 {
		return s
	}
	s.xmin, _ = strconv.ParseInt(parts[0], 10, 64)
	s.xmax, _ = strconv.ParseInt(parts[1], 10, 64)
	for xid := range strings.SplitSeq(parts[2], ",") {
		if n, err := strconv.ParseInt(xid, 10, 64); err == nil {
			s.running = append(s.running, n)
		}
	}
	return s
}

// has reports whether the snapshot shows what a transaction did that has
// committed.
func (s serverSnapshot) has(xid int64) bool {
	return xid < s.xmin || xid < s.xmax && !slices.Contains(s.running, xid)
}
