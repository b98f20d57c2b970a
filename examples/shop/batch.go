package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/dbos-go/dbos"
)

// A Summary is what came of a file of orders.
type Summary struct {
	File      string         `json:"file"`
	Orders    int            `json:"orders"`
	Earlier   int            `json:"finished_earlier"` // by a run of the file before this one
	Outcomes  map[string]int `json:"outcomes"`
	Failed    []string       `json:"failed"` // why the first of the failed orders did
	Seconds   float64        `json:"seconds"`
	PerSecond float64        `json:"orders_per_second"`
	Audit
}

// runBatch places all orders and returns when every one is finished. Orders
// that an earlier run placed are continued, not placed again.
func runBatch(ctx context.Context, s *Shop, file string, orders []Order, parallel int, p progress) (Summary, error) {
	earlier, err := s.countFinished(ctx, orders)
	if err != nil {
		return Summary{}, err
	}
	sum := Summary{File: file, Orders: len(orders), Earlier: earlier, Outcomes: map[string]int{}, Failed: []string{}}
	begin := time.Now()
	p.start(len(orders))
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		work = make(chan Order)
	)
	for range min(parallel, len(orders)) {
		wg.Go(func() {
			for o := range work {
				outcome, err := s.see(ctx, o)
				mu.Lock()
				sum.count(o, outcome, err)
				mu.Unlock()
				p.step()
			}
		})
	}
feed:
	for _, o := range orders {
		select {
		case work <- o:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()
	p.end()
	if err := ctx.Err(); err != nil {
		return sum, context.Cause(ctx)
	}
	sum.Seconds = time.Since(begin).Seconds()
	sum.PerSecond = float64(sum.Orders-sum.Earlier) / sum.Seconds
	sum.Audit, err = s.audit(ctx)
	return sum, err
}

// failed is the outcome of an order that could not be placed, or whose
// workflow ended with an error.
const failed = "failed"

// see places an order and waits for its outcome.
func (s *Shop) see(ctx context.Context, o Order) (string, error) {
	run, err := s.place(ctx, o)
	if err != nil {
		return "", err
	}
	receipt, err := run.Result(ctx)
	return receipt.State, err
}

func (sum *Summary) count(o Order, outcome string, err error) {
	if err == nil {
		sum.Outcomes[outcome]++
		return
	}
	sum.Outcomes[failed]++
	if len(sum.Failed) < maxProblems {
		sum.Failed = append(sum.Failed, fmt.Sprintf("order %s: %v", o.ID, err))
	}
}

// countFinished returns how many of the orders are finished already.
func (s *Shop) countFinished(ctx context.Context, orders []Order) (n int, err error) {
	file := make(map[string]bool, len(orders))
	for _, o := range orders {
		file[o.ID] = true
	}
	err = s.sys.View(ctx, func(tx *dbos.Tx) error {
		rows, err := tx.Query(`SELECT id FROM sched_task WHERE name = 'checkout' AND finished_at IS NOT NULL`)
		if err != nil {
			return err
		}
		defer rows.Close()
		n = 0
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			if file[id] {
				n++
			}
		}
		return rows.Err()
	})
	return n, err
}

// errBatch says that a batch came to its end and something was wrong.
var errBatch = errors.New("not everything is as it should be: see above")

// verdict is the batch's error.
func (sum *Summary) verdict() error {
	if len(sum.Failed) > 0 || !sum.ok() {
		return errBatch
	}
	return nil
}

// writeJSON writes the summary for scripts.
func (sum *Summary) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sum)
}

// writeText writes the summary for people.
func (sum *Summary) writeText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-14s "+format+"\n", append([]any{name}, args...)...)
	}
	fmt.Fprintf(&b, "%d orders of %s\n", sum.Orders, sum.File)
	if sum.Earlier > 0 {
		line("earlier", "%d finished before this run", sum.Earlier)
	}
	for _, state := range []string{Confirmed, Declined, SoldOut, NotPaid} {
		line(state, "%d", sum.Outcomes[state])
	}
	if n := sum.Outcomes[failed]; n > 0 {
		line(failed, "%d", n)
	}
	for _, problem := range sum.Failed {
		line("", "%s", problem)
	}
	check := func(name, good string, problems []string) {
		if len(problems) == 0 {
			line(name, "ok: %s", good)
		}
		for _, problem := range problems {
			line(name, "WRONG: %s", problem)
		}
	}
	check("stock check", "stock + reserved + sold = delivered, for every item", sum.Stock)
	check("ledger check", fmt.Sprintf("%d charges over %s, one for each confirmed order of this shop", sum.Charges, euros(sum.Charged)), sum.Ledger)
	if sum.Orders > sum.Earlier {
		line("rate", "%.0f orders/s (%d in %.1f s)", sum.PerSecond, sum.Orders-sum.Earlier, sum.Seconds)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
