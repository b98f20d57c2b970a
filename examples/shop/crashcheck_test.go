package main

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// A finished order is what the tables have of one run.
type finishedOrder struct {
	id, run, outcome, state, item string
	quantity, amount, price       int64
}

// check opens the shop as the killed processes left it, executes nothing, and
// compares tables, journals and the payment service's ledger with what the
// customers know. It shares no code with the shop's own audit.
func (c *crashTest) check() {
	t := c.t
	shop, err := openShop(t.Context(), "file:"+filepath.Join(c.dir, "data"), c.payments, 1, 1, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer shop.sys.Close()
	ledger, err := os.Open(filepath.Join(c.dir, "data", "payments.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	entries, _, err := payment.ReadLedger(ledger)
	if err != nil {
		t.Fatal(err)
	}
	runs := c.readRuns(shop)
	outcomes := c.checkOrders(runs)
	c.checkStock(shop, runs)
	charges := c.checkLedger(runs, entries)
	c.checkJournals(shop)

	verdict := "ok"
	if t.Failed() {
		verdict = "WRONG"
	}
	t.Logf("crash test: %d kills of the shop, %d of the payment service; %d orders (%d over HTTP, %d from a file): "+
		"%d confirmed, %d declined, %d sold out, %d not paid; %d charges; stock, ledger and journal check %s",
		c.kills, c.paymentKills, len(runs), c.overHTTP, crashFile,
		outcomes[Confirmed], outcomes[Declined], outcomes[SoldOut], outcomes[NotPaid], charges, verdict)
}

func (c *crashTest) readRuns(s *Shop) map[string]finishedOrder {
	runs := map[string]finishedOrder{}
	err := s.sys.View(c.t.Context(), func(tx *dbos.Tx) error {
		rows, err := tx.Query(`
			SELECT t.id, t.state, coalesce(t.output ->> 'state', ''), coalesce(o.state, ''), coalesce(o.item, ''),
				coalesce(o.quantity, 0), coalesce(o.amount, 0), coalesce(i.price, 0)
			FROM sched_task AS t LEFT JOIN orders AS o ON o.id = t.id LEFT JOIN item AS i ON i.id = o.item`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o finishedOrder
			if err := rows.Scan(&o.id, &o.run, &o.outcome, &o.state, &o.item, &o.quantity, &o.amount, &o.price); err != nil {
				return err
			}
			runs[o.id] = o
		}
		return rows.Err()
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return runs
}

// checkOrders: every accepted order was finished, as it was ordered, and there
// is no other. It returns the outcomes.
func (c *crashTest) checkOrders(runs map[string]finishedOrder) map[string]int {
	outcomes := map[string]int{}
	for id, sent := range c.orders {
		o, ok := runs[id]
		switch {
		case !ok:
			c.t.Errorf("order %s was accepted and is lost", id)
		case o.run != "succeeded" || o.outcome != o.state || !slices.Contains([]string{Confirmed, Declined, SoldOut, NotPaid}, o.state):
			c.t.Errorf("order %s did not end well: %+v", id, o)
		case o.item != sent.Item || o.quantity != int64(sent.Quantity):
			c.t.Errorf("order %s is %+v, sent was %+v", id, o, sent)
		case (o.state == Declined) != (strings.HasSuffix(sent.Card, "0002") && o.state != SoldOut && o.state != NotPaid):
			c.t.Errorf("order %s with card %s is %s", id, sent.Card, o.state)
		}
		outcomes[o.state]++
	}
	for id := range runs {
		if _, known := c.orders[id]; !known {
			c.t.Errorf("nobody sent the order %s", id)
		}
	}
	return outcomes
}

// checkStock: stock + sold = initial stock, of each item.
func (c *crashTest) checkStock(s *Shop, runs map[string]finishedOrder) {
	sold := map[string]int64{}
	for _, o := range runs {
		if o.state == Confirmed {
			sold[o.item] += o.quantity
		}
	}
	initial := map[string]int64{"coffee": 1000, "tea": 1000, "honey": 500, "bread": 1000, "mug": 250, "lamp": 25}
	err := s.sys.View(c.t.Context(), func(tx *dbos.Tx) error {
		rows, err := tx.Query(`SELECT id, stock FROM item`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var stock int64
			if err := rows.Scan(&id, &stock); err != nil {
				return err
			}
			if stock+sold[id] != initial[id] || initial[id] == 0 {
				c.t.Errorf("%s: %d in stock + %d sold is not %d", id, stock, sold[id], initial[id])
			}
		}
		return rows.Err()
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// checkLedger: one charge over the right amount for each confirmed order, and
// none for any other. It returns how many there are.
func (c *crashTest) checkLedger(runs map[string]finishedOrder, entries []payment.Entry) int {
	balance := map[string][]int64{} // amounts charged and not given back
	for _, e := range entries {
		switch e.Op {
		case payment.Charged:
			balance[e.Order] = append(balance[e.Order], e.Amount)
		case payment.Voided:
			delete(balance, e.Order)
		}
	}
	for _, o := range runs {
		charged := balance[o.id]
		switch {
		case o.state == Confirmed && (len(charged) != 1 || charged[0] != o.quantity*o.price || charged[0] != o.amount):
			c.t.Errorf("confirmed order %+v was charged %v", o, charged)
		case o.state != Confirmed && len(charged) > 0:
			c.t.Errorf("order %+v was charged %v", o, charged)
		}
	}
	for id := range maps.Keys(balance) {
		if _, known := runs[id]; !known {
			c.t.Errorf("a charge without an order: %s", id)
		}
	}
	return len(balance)
}

// checkJournals: each order was reserved once and decided once.
func (c *crashTest) checkJournals(s *Shop) {
	err := s.sys.View(c.t.Context(), func(tx *dbos.Tx) error {
		rows, err := tx.Query(`
			SELECT o.id, o.state, group_concat(w.name, ' ' ORDER BY w.seq)
			FROM orders AS o JOIN wf_step AS w ON w.execution = o.id GROUP BY o.id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		want := map[string]string{
			Confirmed: "reserve charge confirm", Declined: "reserve charge give back",
			SoldOut: "reserve", NotPaid: "reserve charge void give back",
		}
		for rows.Next() {
			var id, state, steps string
			if err := rows.Scan(&id, &state, &steps); err != nil {
				return err
			}
			if steps != want[state] {
				c.t.Errorf("order %s is %s after the steps %s", id, state, steps)
			}
		}
		return rows.Err()
	})
	if err != nil {
		c.t.Fatal(err)
	}
}
