package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
	"github.com/dbos-go/dbos/replaytest"
)

// recordedOrders is how many orders the test of replay records.
const recordedOrders = 100

// TestRecordedOrdersAgain records orders of all sorts, worked on at the same
// time, and replays them: in the shop that took them, and, as a test of the
// code, from its directory.
func TestRecordedOrdersAgain(t *testing.T) {
	s := newShop(t)
	var customers sync.WaitGroup
	for c := range 4 {
		customers.Go(func() {
			for i := c; i < recordedOrders; i += 4 {
				o := Order{
					ID: fmt.Sprintf("o%03d", i), Item: []string{"tea", "mug", "lamp"}[i%3], Quantity: 1 + i%4, Customer: "Ada", Card: payment.CardThatPays,
				}
				if i%7 == 0 {
					o.Card = payment.CardThatDeclines
				}
				run, err := s.place(t.Context(), o)
				if err == nil {
					_, err = run.Result(t.Context())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	customers.Wait()
	ends := map[string]int{}
	report, err := s.sys.History().Replay(t.Context(), dbos.ReplayOptions{}, func(r dbos.Replayed) {
		if !r.Same {
			t.Error(replaytest.Describe(r))
		}
		for _, state := range []string{Confirmed, Declined, SoldOut} {
			if strings.Contains(r.Recorded, `"state":"`+state+`"`) {
				ends[state]++
			}
		}
	})
	if errors.Is(err, abi.Unsupported) && os.Getenv("DBOS_TEST_REQUIRE") == "" {
		t.Skip(err)
	}
	if err != nil || report.Same != recordedOrders || len(ends) != 3 {
		t.Fatalf("%+v, %v, %v", report, ends, err)
	}
	t.Logf("%+v %v", *report, ends)
	status, err := s.sys.Status(t.Context())
	if err := errors.Join(err, s.sys.Close()); err != nil {
		t.Fatal(err)
	}
	replayed(t, status.Location, (*Shop).checkout, nil)
	var out strings.Builder
	if err := replayOrders(t.Context(), []string{"-data", status.Location}, &out); err != nil || !strings.Contains(out.String(), fmt.Sprintf(": %d as they were, 0 otherwise", recordedOrders)) {
		t.Errorf("%s, %v", &out, err)
	}

	// A shop that charges a cent more would have ended otherwise, where it sold.
	dearer := func(s *Shop, ctx dbos.Context, o Order) (Receipt, error) {
		r, err := s.checkout(ctx, o)
		if r.Amount > 0 {
			r.Amount++
		}
		return r, err
	}
	changed := 0
	replayed(t, status.Location, dearer, func(r dbos.Replayed) bool {
		changed++
		return r.EndsDifferently && r.Divergence.Kind == "output" && r.Divergence.Seq == 0
	})
	if changed != ends[Confirmed]+ends[Declined] {
		t.Errorf("%d orders would have ended otherwise: %v", changed, ends)
	}
}

// replayed replays the orders of a directory with another checkout.
func replayed(t *testing.T, dir string, checkout func(*Shop, dbos.Context, Order) (Receipt, error), accept func(dbos.Replayed) bool) {
	t.Helper()
	tables, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	register := func(sys *dbos.System) {
		shop := &Shop{sys: sys, payments: payment.NewClient("unix:/nowhere"), tries: 1}
		dbos.Workflow(sys, "checkout", func(ctx dbos.Context, o Order) (Receipt, error) { return checkout(shop, ctx, o) })
		if err := dbos.RegisterError(sys, "payment.declined", &payment.Declined{}); err != nil {
			t.Error(err)
		}
	}
	replaytest.Run(t, dir, register, replaytest.Options{Open: []dbos.Option{dbos.App("shop"), dbos.Migrations(tables)}, Accept: accept})
}
