package payment

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// An Op is what a ledger entry records.
type Op string

const (
	// Charged: money was taken.
	Charged Op = "charge"
	// Refused: the card was declined; no money was taken.
	Refused Op = "decline"
	// Voided: every charge of the order was given back, and the order can
	// not be charged any more.
	Voided Op = "void"
)

// An Entry is one line of the ledger. Entries are only added.
type Entry struct {
	Seq    int       `json:"seq"` // counted from 1
	At     time.Time `json:"at"`
	Op     Op        `json:"op"`
	Key    string    `json:"key"`
	Order  string    `json:"order"`
	Card   string    `json:"card,omitempty"` // masked
	Amount int64     `json:"amount"`         // taken, or given back; in cents
	Reason string    `json:"reason,omitempty"`
}

// chargeID names the charge that an entry records.
func (e Entry) chargeID() string { return fmt.Sprintf("ch_%06d", e.Seq) }

// ReadLedger reads a ledger's lines and returns them with their length in
// bytes. A last line without its end is what a killed service left of an
// entry that nobody was told about: it does not count. Any other damage is an
// error of kind abi.Corrupt that names the line.
func ReadLedger(r io.Reader) (entries []Entry, size int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return entries, size, nil
		}
		if err != nil {
			return entries, size, abi.Errorf("payment.ledger", abi.Unavailable, "ledger", "%w", err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return entries, size, abi.Errorf("payment.ledger", abi.Corrupt, "ledger", "line %d: %w", len(entries)+1, err)
		}
		if e.Seq != len(entries)+1 {
			return entries, size, abi.Errorf("payment.ledger", abi.Corrupt, "ledger", "line %d is numbered %d", len(entries)+1, e.Seq)
		}
		entries = append(entries, e)
		size += int64(len(line))
	}
}
