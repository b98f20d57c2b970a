package dbmstest

import (
	"strings"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

// read and add are operations as a history notes them.
func read(key int, saw ...int) op { return op{key: key, element: saw} }
func add(key, element int) op     { return op{key: key, append: element} }

// serial gives transactions their instants and LSNs one after the other: each
// begins when the one before has ended, and reads the state it left.
func serial(h ...transaction) history {
	var last dbms.LSN
	for i := range h {
		h[i].start, h[i].end = 2*i+1, 2*i+2
		h[i].snapshot = last
		for _, o := range h[i].ops {
			if o.append != 0 && !h[i].aborted {
				last = dbms.LSN(i + 1)
				h[i].lsn = last
			}
		}
	}
	return h
}

// overlapping is serial, but all transactions except the last begin at once on
// the empty database.
func overlapping(h ...transaction) history {
	serial(h...)
	for i := range len(h) - 1 {
		h[i].start, h[i].end, h[i].snapshot = 1, 2, 0
	}
	return h
}

func txn(name string, ops ...op) transaction { return transaction{name: name, ops: ops} }

func aborted(t transaction) transaction { t.aborted = true; return t }

// at changes the snapshot of transaction i.
func (h history) at(i int, snapshot dbms.LSN) history { h[i].snapshot = snapshot; return h }

// numbered gives the transactions other LSNs.
func (h history) numbered(lsns ...dbms.LSN) history {
	for i, lsn := range lsns {
		h[i].lsn = lsn
	}
	return h
}

// TestHistoryCheck shows the checker good histories, and others with one known
// anomaly each.
func TestHistoryCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		h    history
		want string // in the finding; "" for none
	}{
		{"serial", serial(
			txn("A", read(1), add(1, 1), read(1, 1)),
			txn("B", read(1, 1), add(1, 2), add(1, 3), add(2, 4), read(1, 1, 2, 3)),
			aborted(txn("C", add(1, 9), read(1, 1, 2, 3, 9))),
			txn("last", read(1, 1, 2, 3), read(2, 4))), ""},
		{"a view in the past of its neighbours", overlapping(
			txn("A", add(1, 1)), txn("B", read(1)), txn("last", read(1, 1))), ""},
		{"lost update", overlapping(
			txn("A", read(1), add(1, 1)), txn("B", read(1), add(1, 2)), txn("last", read(1, 2))), "lost update"},
		{"update of a stale read", overlapping(
			txn("A", read(1), add(1, 1)), txn("B", read(1), add(1, 2)), txn("last", read(1, 1, 2))), "not strictly serializable"},
		{"write skew", overlapping(
			txn("A", read(1), read(2), add(1, 1)), txn("B", read(1), read(2), add(2, 2)),
			txn("last", read(1, 1), read(2, 2))), "not strictly serializable"},
		{"stale read", serial(
			txn("A", add(1, 1)), txn("B", read(1)), txn("last", read(1, 1))).at(1, 0), "not strictly serializable"},
		{"fractured read", serial(
			txn("A", add(1, 1), add(2, 2)), txn("B", read(1, 1), read(2)), txn("last", read(1, 1), read(2, 2))), "snapshot"},
		{"view without its snapshot", serial(
			txn("A", add(1, 1)), txn("B", read(1)), txn("last", read(1, 1))), "snapshot"},
		{"aborted read", serial(
			aborted(txn("A", add(1, 1))), txn("last", read(1, 1))), "aborted read"},
		{"intermediate read", serial(
			txn("A", add(1, 1), add(1, 2)), txn("B", read(1, 1)), txn("last", read(1, 1, 2))), "intermediate read"},
		{"own append unseen", serial(
			txn("A", add(1, 1), read(1)), txn("last", read(1, 1))), "own appends"},
		{"own append foreseen", serial(
			txn("A", read(1, 1), add(1, 1)), txn("last", read(1, 1))), "own appends"},
		{"unrepeatable read", serial(
			txn("A", add(1, 1)), txn("B", read(1), read(1, 1)), txn("last", read(1, 1))), "and then as"},
		{"incompatible orders", serial(
			txn("A", add(1, 1)), txn("B", add(1, 2)), txn("C", read(1, 2, 1)), txn("last", read(1, 1, 2))), "incompatible orders"},
		{"element from nowhere", serial(txn("last", read(1, 5))), "nobody appended"},
		{"element twice", serial(txn("A", add(1, 1)), txn("last", read(1, 1, 1))), "there twice"},
		{"LSN against the version order", overlapping(
			txn("A", add(1, 1)), txn("B", add(1, 2)), txn("last", read(1, 1, 2))).numbered(2, 1), "LSNs contradict"},
		{"LSN against time", serial(
			txn("A", add(1, 1)), txn("B", add(2, 2)), txn("last", read(1, 1), read(2, 2))).numbered(2, 1), "LSNs contradict"},
	} {
		t.Run(c.name, func(t *testing.T) { wantFinding(t, c.h.check(), c.want) })
	}
}

func wantFinding(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("finding where there is none: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("finding %v, want one with %q", err, want)
	}
}
