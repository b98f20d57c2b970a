package payment

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// A Ledger decides about charges and keeps what it decided in a file. What it
// has returned is on disk. All methods may be called from any goroutine.
type Ledger struct {
	file *os.File

	mu      sync.Mutex
	byKey   map[string]Entry
	taken   map[string]int64 // by order, in cents
	voided  map[string]Entry // by order
	last    int              // Seq of the newest entry
	pending []byte           // entries not yet written

	flush   sync.Mutex
	durable int // Seq up to which entries are on disk
	broken  error
	alarm   chan error // receives broken once
}

// OpenLedger opens a ledger's file, or makes it. If another process has it
// open, the error is of kind abi.Owned.
func OpenLedger(path string) (*Ledger, error) {
	const op = "payment.ledger"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, abi.Errorf(op, abi.Invalid, "ledger "+path, "%w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		f.Close()
		return nil, abi.Errorf(op, abi.Owned, "ledger "+path, "another payment service has it open")
	}
	if err != nil {
		f.Close()
		return nil, abi.Errorf(op, abi.Unavailable, "ledger "+path, "lock: %w", err)
	}
	l := &Ledger{file: f, byKey: map[string]Entry{}, taken: map[string]int64{}, voided: map[string]Entry{}, alarm: make(chan error, 1)}
	if err := l.load(); err != nil {
		f.Close()
		return nil, err
	}
	return l, nil
}

// load takes in what the file holds and cuts off a torn tail, so that the next
// entry begins on a line of its own.
func (l *Ledger) load() error {
	entries, size, err := ReadLedger(l.file)
	if err != nil {
		return err
	}
	for _, e := range entries {
		l.apply(e)
	}
	l.durable = l.last
	if err := l.file.Truncate(size); err != nil {
		return abi.Errorf("payment.ledger", abi.Unavailable, "ledger "+l.file.Name(), "%w", err)
	}
	return nil
}

func (l *Ledger) apply(e Entry) {
	l.byKey[e.Key] = e
	l.last = e.Seq
	switch e.Op {
	case Charged:
		l.taken[e.Order] += e.Amount
	case Voided:
		l.voided[e.Order] = e
	}
}

// Charge takes the money of a request, or declines it, once for each key: a
// key that the ledger knows gives the entry it has. A key used for something
// else before is abi.Exists; an order that has been voided, abi.Conflict.
func (l *Ledger) Charge(r Request) (Entry, error) {
	if err := r.check(); err != nil {
		return Entry{}, err
	}
	return l.record(r.Key, func() (Entry, error) {
		e := Entry{Op: Charged, Key: r.Key, Order: r.Order, Card: Mask(r.Card), Amount: r.Amount}
		if declines(r.Card) {
			e.Op, e.Reason = Refused, "the bank said no"
		}
		old, known := l.byKey[r.Key]
		_, void := l.voided[r.Order]
		switch {
		case known && (old.Order != e.Order || old.Card != e.Card || old.Amount != e.Amount):
			return Entry{}, abi.Errorf("payment.charge", abi.Exists, fmt.Sprintf("key %q", r.Key), "it was used for another charge")
		case void:
			return Entry{}, abi.Errorf("payment.charge", abi.Conflict, fmt.Sprintf("order %q", r.Order), "it has been voided")
		}
		return e, nil
	})
}

// Void gives back all that was taken for an order and shuts the order, so that
// a charge still on its way cannot arrive afterwards.
func (l *Ledger) Void(key, order string) (Entry, error) {
	if key == "" || order == "" {
		return Entry{}, abi.Errorf("payment.void", abi.Invalid, "key or order", "it is empty")
	}
	return l.record(key, func() (Entry, error) {
		if old, void := l.voided[order]; void {
			return old, nil
		}
		if _, known := l.byKey[key]; known {
			return Entry{}, abi.Errorf("payment.void", abi.Exists, fmt.Sprintf("key %q", key), "it was used for something else")
		}
		return Entry{Op: Voided, Key: key, Order: order, Amount: l.taken[order]}, nil
	})
}

// record returns the entry that decide gives: the known one of that key, or a
// new one. It returns once the entry is on disk.
func (l *Ledger) record(key string, decide func() (Entry, error)) (Entry, error) {
	l.mu.Lock()
	e, err := decide()
	if err == nil && e.Seq == 0 {
		if known, ok := l.byKey[key]; ok {
			e = known
		} else {
			e, err = l.add(e)
		}
	}
	l.mu.Unlock()
	if err != nil {
		return Entry{}, err
	}
	return e, l.sync(e.Seq)
}

func (l *Ledger) add(e Entry) (Entry, error) {
	e.Seq, e.At = l.last+1, time.Now().UTC()
	line, err := json.Marshal(e)
	if err != nil {
		return Entry{}, abi.Errorf("payment.ledger", abi.Invalid, "entry", "%w", err)
	}
	l.pending = append(append(l.pending, line...), '\n')
	l.apply(e)
	return e, nil
}

// sync returns when everything up to seq is on disk. Whoever comes first
// writes for all who wait. After a failed write nothing is known about the
// file's end, so the ledger stays broken until it is opened again.
func (l *Ledger) sync(seq int) error {
	l.flush.Lock()
	defer l.flush.Unlock()
	if l.broken != nil || l.durable >= seq {
		return l.broken
	}
	l.mu.Lock()
	lines, upTo := l.pending, l.last
	l.pending = nil
	l.mu.Unlock()
	_, err := l.file.Write(lines)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.broken = abi.Errorf("payment.ledger", abi.Unavailable, "ledger "+l.file.Name(), "%w", err)
		l.alarm <- l.broken
		return l.broken
	}
	l.durable = upTo
	return nil
}

// Broken receives the error that makes the ledger unusable, should there be
// one.
func (l *Ledger) Broken() <-chan error { return l.alarm }

// Close closes the file, which lets another process open it.
func (l *Ledger) Close() error { return l.file.Close() }
