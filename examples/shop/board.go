package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/dbos-go/dbos"
)

// boardOrders is how many orders, the newest, the page shows.
const boardOrders = 60

// A Board is everything that the page shows at once.
type Board struct {
	Process Process        `json:"process"`
	Payment PaymentState   `json:"payment"`
	Items   []Item         `json:"items"`
	Counts  map[string]int `json:"counts"` // orders by state
	Orders  []OrderState   `json:"orders"` // newest first
	Journal *Journal       `json:"journal,omitempty"`
}

// A Process is the running shop.
type Process struct {
	PID       int       `json:"pid"`
	Started   time.Time `json:"started"`
	Continued int       `json:"continued"` // unfinished orders that it found
	Command   string    `json:"command"`   // starts it again
}

// A PaymentState is what is known of the payment service.
type PaymentState struct {
	Up       bool    `json:"up"`
	PID      int     `json:"pid"`
	Latency  string  `json:"latency"`
	Failures float64 `json:"failures"`
}

// An OrderState is an order and how far it has come.
type OrderState struct {
	ID         string     `json:"id"`
	Item       string     `json:"item"`
	Quantity   int64      `json:"quantity"`
	Customer   string     `json:"customer"`
	Amount     *int64     `json:"amount"` // in cents; nil before it is known
	State      string     `json:"state"`  // as in orders, or "queued"
	Run        string     `json:"run"`    // the run's state
	Reason     string     `json:"reason"`
	Recoveries int64      `json:"recoveries"` // crashes it has been through
	PlacedAt   time.Time  `json:"placed_at"`
	DecidedAt  *time.Time `json:"decided_at"`
}

// readBoard fills in what is in tables, all of one moment.
func (s *Shop) readBoard(ctx context.Context, b *Board) error {
	return s.sys.View(ctx, func(tx *dbos.Tx) error {
		var err error
		if b.Items, err = items(tx); err != nil {
			return err
		}
		if b.Counts, err = countOrders(tx); err != nil {
			return err
		}
		b.Orders, err = newestOrders(tx, boardOrders)
		return err
	})
}

// countOrders counts the accepted orders by state. Those that wait have no row
// in the shop's tables yet, only one in the process table.
func countOrders(tx *dbos.Tx) (map[string]int, error) {
	rows, err := tx.Query(`
		SELECT state, count(*) FROM orders GROUP BY state
		UNION ALL
		SELECT 'queued', count(*) FROM sched_task AS t
		WHERE t.state = 'queued' AND t.queue = 'tills' AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.id = t.id)`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, err
		}
		counts[state] = n
	}
	return counts, rows.Err()
}

// newestOrders joins the process table with the shop's own: one query says
// what has been ordered, what came of it, and what its workflow is doing.
func newestOrders(tx *dbos.Tx, limit int) ([]OrderState, error) {
	rows, err := tx.Query(`
		SELECT t.id, t.input, o.amount, coalesce(o.state, 'queued'), t.state, o.reason, t.error,
			t.recoveries, t.created_at, coalesce(o.decided_at, t.finished_at)
		FROM sched_task AS t LEFT JOIN orders AS o ON o.id = t.id
		WHERE t.name = 'checkout'
		ORDER BY t.seq DESC LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []OrderState{}
	for rows.Next() {
		var o OrderState
		var input string
		var reason, failure *string
		err := rows.Scan(&o.ID, &input, &o.Amount, &o.State, &o.Run, &reason, &failure,
			&o.Recoveries, &o.PlacedAt, &o.DecidedAt)
		if err != nil {
			return nil, err
		}
		if err := o.describe(input, reason, failure); err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, rows.Err()
}

// describe fills in what the process table has as JSON: the order, and why its
// workflow failed, if no reason for its outcome is known.
func (o *OrderState) describe(input string, reason, failure *string) error {
	var order Order
	if err := json.Unmarshal([]byte(input), &order); err != nil {
		return err
	}
	o.Item, o.Quantity, o.Customer = order.Item, int64(order.Quantity), order.Customer
	switch {
	case reason != nil:
		o.Reason = *reason
	case failure != nil:
		var f struct{ Message string }
		if err := json.Unmarshal([]byte(*failure), &f); err != nil {
			return err
		}
		o.Reason = f.Message
	}
	return nil
}
