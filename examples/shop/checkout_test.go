package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// buy places an order and returns its receipt.
func buy(t *testing.T, s *Shop, o Order) Receipt {
	t.Helper()
	run, err := s.place(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := run.Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// expectAudit expects that everything fits and that so many charges are kept.
func expectAudit(t *testing.T, s *Shop, charges int) {
	t.Helper()
	a, err := s.audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !a.ok() || a.Charges != charges {
		t.Errorf("audit: %+v, want %d charges and no problem", a, charges)
	}
}

func TestConfirmed(t *testing.T) {
	s := newShop(t)
	r := buy(t, s, someOrder("o1"))
	if r.State != Confirmed || r.Amount != 2*740 || r.Charge == "" {
		t.Errorf("receipt %+v", r)
	}
	if i := item(t, s, "tea"); i.Sold != 2 || i.Stock != i.Delivered-2 || i.Reserved != 0 {
		t.Errorf("shelf %+v", i)
	}
	expectAudit(t, s, 1)
}

func TestDeclined(t *testing.T) {
	s := newShop(t)
	o := someOrder("o1")
	o.Card = payment.CardThatDeclines
	if r := buy(t, s, o); r.State != Declined || r.Reason == "" || r.Charge != "" {
		t.Errorf("receipt %+v", r)
	}
	if i := item(t, s, "tea"); i.Stock != i.Delivered {
		t.Errorf("shelf %+v, want everything given back", i)
	}
	expectAudit(t, s, 0)
}

func TestSoldOut(t *testing.T) {
	s := newShop(t)
	lamp := Order{Item: "lamp", Quantity: 20, Customer: "Ada", Card: payment.CardThatPays}
	for i, want := range []string{Confirmed, SoldOut, Confirmed, SoldOut} {
		lamp.ID = fmt.Sprint("o", i)
		if i == 2 {
			lamp.Quantity = 5 // the last ones
		}
		if r := buy(t, s, lamp); r.State != want {
			t.Errorf("order %d: %+v, want %s", i, r, want)
		}
	}
	if i := item(t, s, "lamp"); i.Stock != 0 || i.Sold != 25 {
		t.Errorf("shelf %+v", i)
	}
	expectAudit(t, s, 2)
}

// When the payment service takes the money and never says so, the shop gives
// up, has it given back, and puts the goods back.
func TestNotPaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ledger, err := payment.OpenLedger(filepath.Join(dir, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer ledger.Close()
	service, err := payment.NewService(ledger, filepath.Join(dir, "ledger"), payment.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	var charges, voids atomic.Int32
	mute := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/charges":
			charges.Add(1)
			service.ServeHTTP(&discarded{}, r)
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/voids" && voids.Add(1) < 3:
			panic(http.ErrAbortHandler)
		}
		service.ServeHTTP(w, r)
	})
	socket := filepath.Join(dir, "p")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mute}
	go server.Serve(listener)
	defer server.Close()

	s := launchShop(t, dir, payment.Address("unix:"+socket))
	if r := buy(t, s, someOrder("o1")); r.State != NotPaid || r.Reason == "" {
		t.Errorf("receipt %+v", r)
	}
	if charges.Load() != 8 || voids.Load() != 3 {
		t.Errorf("%d charges and %d voids were asked for, want 8 and 3", charges.Load(), voids.Load())
	}
	if i := item(t, s, "tea"); i.Stock != i.Delivered {
		t.Errorf("shelf %+v, want everything given back", i)
	}
	a, err := s.audit(t.Context())
	if err != nil || !a.ok() || a.Charges != 0 || a.Voided != 1 || a.Charged != 0 {
		t.Errorf("audit: %+v, %v; want one charge, voided", a, err)
	}
}

// discarded is a response that nobody gets.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarded) WriteHeader(int)             {}

func TestPlacingTwice(t *testing.T) {
	s := newShop(t)
	first := buy(t, s, someOrder("o1"))
	if again := buy(t, s, someOrder("o1")); again != first {
		t.Errorf("again: %+v, want %+v", again, first)
	}
	other := someOrder("o1")
	other.Quantity++
	if _, err := s.place(t.Context(), other); !errors.Is(err, abi.Exists) {
		t.Errorf("another order with the ID: %v, want abi.Exists", err)
	}
	expectAudit(t, s, 1)
}
