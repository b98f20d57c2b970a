package main

import (
	"context"
	"fmt"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// An Audit compares what the shop believes with what is, over all orders that
// it ever took: the stock, and the payment service's own ledger.
type Audit struct {
	Stock   []string `json:"stock_problems"`  // none: every piece is accounted for
	Ledger  []string `json:"ledger_problems"` // none: every cent is
	Charges int      `json:"charges"`         // kept, not voided
	Charged int64    `json:"charged"`         // in cents
	Voided  int      `json:"voided"`          // charges given back
}

// maxProblems is how many problems of a kind are listed.
const maxProblems = 20

// ok reports whether everything fits.
func (a Audit) ok() bool { return len(a.Stock) == 0 && len(a.Ledger) == 0 }

// An orderRow is what the audit reads of an order.
type orderRow struct {
	state  string
	amount int64
}

// audit checks the stock and the ledger. Orders that are being worked on may
// have been charged or not.
func (s *Shop) audit(ctx context.Context) (Audit, error) {
	// The ledger first: what it has by now, the orders read later explain.
	entries, err := s.payments.Ledger(ctx)
	if err != nil {
		return Audit{}, err
	}
	var list []Item
	orders := map[string]orderRow{}
	err = s.sys.View(ctx, func(tx *dbos.Tx) error {
		if list, err = items(tx); err != nil {
			return err
		}
		return readOrders(tx, orders)
	})
	if err != nil {
		return Audit{}, err
	}
	a := Audit{Stock: []string{}, Ledger: []string{}}
	for _, i := range list {
		if !i.balanced() {
			a.Stock = append(a.Stock, fmt.Sprintf("%s: %d in stock + %d reserved + %d sold is not the %d delivered",
				i.ID, i.Stock, i.Reserved, i.Sold, i.Delivered))
		}
	}
	a.compare(orders, entries)
	return a, nil
}

func readOrders(tx *dbos.Tx, orders map[string]orderRow) error {
	rows, err := tx.Query(`SELECT id, state, amount FROM orders`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var o orderRow
		if err := rows.Scan(&id, &o.state, &o.amount); err != nil {
			return err
		}
		orders[id] = o
	}
	return rows.Err()
}

// compare holds the ledger against the orders: one charge over the right
// amount for each confirmed order, and none that is kept for any other.
func (a *Audit) compare(orders map[string]orderRow, entries []payment.Entry) {
	charges := map[string][]payment.Entry{}
	for _, e := range entries {
		switch e.Op {
		case payment.Charged:
			charges[e.Order] = append(charges[e.Order], e)
			a.Charges++
			a.Charged += e.Amount
		case payment.Voided:
			a.Charges -= len(charges[e.Order])
			a.Voided += len(charges[e.Order])
			a.Charged -= e.Amount
			delete(charges, e.Order)
		}
	}
	for id, o := range orders {
		kept := charges[id]
		delete(charges, id)
		switch {
		case len(kept) > 1:
			a.wrong("order %s (%s) was charged %d times", id, o.state, len(kept))
		case o.state == Confirmed && len(kept) == 0:
			a.wrong("order %s is confirmed and was not charged", id)
		case o.state != Confirmed && o.state != "reserved" && len(kept) > 0:
			a.wrong("order %s is %s and was charged %s", id, o.state, euros(kept[0].Amount))
		case len(kept) == 1 && kept[0].Amount != o.amount:
			a.wrong("order %s over %s was charged %s", id, euros(o.amount), euros(kept[0].Amount))
		}
	}
	for id := range charges {
		a.wrong("a charge is for order %s, which the shop does not know", id)
	}
}

func (a *Audit) wrong(format string, args ...any) {
	if len(a.Ledger) < maxProblems {
		a.Ledger = append(a.Ledger, fmt.Sprintf(format, args...))
	}
}
