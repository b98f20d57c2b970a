package main

import (
	"context"
	"errors"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// How an order ends.
const (
	Confirmed = "confirmed" // paid, and the goods are the customer's
	Declined  = "declined"  // the card was not accepted
	SoldOut   = "sold out"  // there was not enough in stock
	NotPaid   = "not paid"  // the payment service gave no answer in time
)

// A Receipt is the outcome of a checkout.
type Receipt struct {
	Order  string `json:"order"`
	State  string `json:"state"`
	Amount int64  `json:"amount"`           // in cents
	Charge string `json:"charge,omitempty"` // of a confirmed order
	Reason string `json:"reason,omitempty"` // of any other
}

// checkout sells an order: it takes the goods out of the stock, charges the
// card, and then either confirms the order or puts the goods back.
//
// Kill the process on any line: when the shop is started again, the function
// runs again. Steps that are in its journal return what they returned before,
// and the first one that is not in it is where the work goes on.
func (s *Shop) checkout(ctx dbos.Context, o Order) (Receipt, error) {
	receipt, err := dbos.Transaction(ctx, "reserve", func(tx *dbos.Tx) (Receipt, error) {
		return reserve(tx, o)
	})
	if err != nil || receipt.State == SoldOut {
		return receipt, err
	}

	// The payment service is another program: no transaction reaches it, and
	// when a reply is lost nobody here knows whether it took the money. So the
	// step asks again, always with the same idempotency key, also in the
	// process that takes over after a crash.
	charge, err := dbos.Step(ctx, "charge", func(ctx context.Context) (payment.Charge, error) {
		return s.payments.Charge(ctx, payment.Request{
			Key: dbos.IdempotencyKey(ctx), Order: o.ID, Card: o.Card, Amount: receipt.Amount,
		})
	}, dbos.Retry{Attempts: s.tries, Backoff: 50 * time.Millisecond, MaxBackoff: 2 * time.Second, If: payment.Temporary})

	declined, isDeclined := errors.AsType[*payment.Declined](err)
	switch {
	case err == nil:
		return dbos.Transaction(ctx, "confirm", func(tx *dbos.Tx) (Receipt, error) {
			return confirm(tx, receipt, charge)
		})
	case isDeclined:
		return s.giveBack(ctx, o, receipt, Declined, declined.Error())
	}

	// No answer, however often it was asked. The card may have been charged all
	// the same, so the charge is voided first, as long as that may take.
	_, err = dbos.Step(ctx, "void", func(ctx context.Context) (bool, error) {
		return true, s.payments.Void(ctx, dbos.IdempotencyKey(ctx), o.ID)
	}, dbos.Retry{Attempts: -1, MaxBackoff: 10 * time.Second})
	if err != nil {
		return Receipt{}, err
	}
	return s.giveBack(ctx, o, receipt, NotPaid, "the payment service gave no answer; nothing was charged")
}

// giveBack ends an order that came to nothing.
func (s *Shop) giveBack(ctx dbos.Context, o Order, r Receipt, state, reason string) (Receipt, error) {
	return dbos.Transaction(ctx, "give back", func(tx *dbos.Tx) (Receipt, error) {
		if _, err := tx.Exec(`UPDATE item SET stock = stock + $2 WHERE id = $1`, o.Item, o.Quantity); err != nil {
			return Receipt{}, err
		}
		_, err := tx.Exec(`UPDATE orders SET state = $2, reason = $3, decided_at = $4 WHERE id = $1`,
			o.ID, state, reason, tx.Now())
		r.State, r.Reason = state, reason
		tx.Notify(shopChanged)
		return r, err
	})
}

// reserve takes an order's goods out of the stock, if there are enough, and
// writes the order down in any case.
func reserve(tx *dbos.Tx, o Order) (Receipt, error) {
	r := Receipt{Order: o.ID, State: "reserved"}
	err := tx.QueryRow(`UPDATE item SET stock = stock - $2 WHERE id = $1 AND stock >= $2 RETURNING price * $2`,
		o.Item, o.Quantity).Scan(&r.Amount)
	switch {
	case errors.Is(err, abi.NotFound):
		r.State, r.Reason = SoldOut, "not enough in stock"
	case err != nil:
		return r, err
	}
	_, err = tx.Exec(`INSERT INTO orders (id, item, quantity, customer, amount, state, reason, placed_at, decided_at)
		VALUES ($1, $2, $3, $4, $5, $6, nullif($7, ''), $8, CASE WHEN $6 = 'sold out' THEN $8 END)`,
		o.ID, o.Item, o.Quantity, o.Customer, r.Amount, r.State, r.Reason, tx.Now())
	tx.Notify(shopChanged)
	return r, err
}

// confirm makes the goods the customer's.
func confirm(tx *dbos.Tx, r Receipt, charge payment.Charge) (Receipt, error) {
	_, err := tx.Exec(`UPDATE orders SET state = 'confirmed', charge = $2, decided_at = $3 WHERE id = $1`,
		r.Order, charge.ID, tx.Now())
	r.State, r.Charge = Confirmed, charge.ID
	tx.Notify(shopChanged)
	return r, err
}
