package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dbos-go/dbos/examples/shop/payment"
)

// TestMain lets the test binary be the shop's program, for the tests that kill
// it.
func TestMain(m *testing.M) {
	if os.Getenv("SHOP_PROGRAM") != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// testCatalogue is what the shop of the migrations sells.
var testCatalogue = []string{"coffee", "tea", "honey", "bread", "mug", "lamp"}

// newShop opens a shop in a directory of its own, with a payment service in
// this process that has no delays and no faults.
func newShop(t *testing.T) *Shop {
	t.Helper()
	dir := t.TempDir()
	address := payment.Address("unix:" + filepath.Join(dir, "p"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- payment.Serve(ctx, payment.Config{Address: address, Ledger: filepath.Join(dir, "ledger"), Linger: time.Minute})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("payment service: %v", err)
		}
	})
	return launchShop(t, dir, address)
}

func launchShop(t *testing.T, dir string, address payment.Address) *Shop {
	t.Helper()
	shop, err := openShop(t.Context(), "file:"+filepath.Join(dir, "data"), payment.NewClient(address), 8, 8, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.sys.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if err := shop.sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return shop
}

// someOrder is a good order.
func someOrder(id string) Order {
	return Order{ID: id, Item: "tea", Quantity: 2, Customer: "Ada", Card: payment.CardThatPays}
}

// item returns one item of the shop.
func item(t *testing.T, s *Shop, id string) Item {
	t.Helper()
	list, err := s.items(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.ID == id {
			return i
		}
	}
	t.Fatalf("no item %s", id)
	return Item{}
}
