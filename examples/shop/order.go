package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// Limits of an order.
const (
	maxQuantity = 100
	maxName     = 100 // characters
	maxID       = 64  // bytes
)

// An Order is what a customer sends. It is the input of the checkout workflow
// and, as that, a row of JSON in the process table. A real shop would let the
// payment service's own form take the card, and see a token of it only.
type Order struct {
	ID       string `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
	Customer string `json:"customer"`
	Card     string `json:"card"`
}

// tidied returns the order as it is kept, with the card's digits only.
func (o Order) tidied() Order {
	o.ID, o.Item, o.Customer = strings.TrimSpace(o.ID), strings.TrimSpace(o.Item), strings.TrimSpace(o.Customer)
	if digits, err := payment.CheckCard(o.Card); err == nil {
		o.Card = digits
	}
	return o
}

// check refuses with abi.Invalid what cannot be sold; the error's Resource
// names the field.
func (o Order) check(catalogue []string) error {
	if err := checkID(o.ID); err != nil {
		return err
	}
	if err := checkItem(o.Item, catalogue); err != nil {
		return err
	}
	if o.Quantity < 1 || o.Quantity > maxQuantity {
		return badOrder("quantity", "%d cannot be ordered", o.Quantity).WithHint("order 1 to %d pieces", maxQuantity)
	}
	if err := checkCustomer(o.Customer); err != nil {
		return err
	}
	_, err := payment.CheckCard(o.Card)
	return err
}

func badOrder(field, format string, args ...any) *abi.Error {
	return abi.Errorf("shop.order", abi.Invalid, field, format, args...)
}

// checkID takes what is the same in a URL, a file name and a shell.
func checkID(id string) error {
	allowed := func(r rune) bool {
		return r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r))
	}
	switch i := strings.IndexFunc(id, func(r rune) bool { return !allowed(r) }); {
	case id == "":
		return badOrder("id", "it is empty")
	case len(id) > maxID:
		return badOrder("id", "it has %d bytes; at most %d are allowed", len(id), maxID)
	case i >= 0:
		return badOrder("id", "%q is not allowed in %q", []rune(id[i:])[0], id).
			WithHint("use letters, digits, '-', '_' and '.'")
	case strings.Trim(id, ".") == "":
		return badOrder("id", "%q would mean a directory in a URL", id)
	}
	return nil
}

func checkItem(id string, catalogue []string) error {
	hint := "the shop has " + strings.Join(catalogue, ", ")
	switch {
	case id == "":
		return badOrder("item", "it is empty").WithHint("%s", hint)
	case !slices.Contains(catalogue, id):
		return badOrder("item", "the shop has no %q", id).WithHint("%s", hint)
	}
	return nil
}

func checkCustomer(name string) error {
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return badOrder("customer", "it is empty").WithHint("say who orders")
	case !utf8.ValidString(name):
		return badOrder("customer", "%q is not valid UTF-8", name)
	case n > maxName:
		return badOrder("customer", "it has %d characters; at most %d are allowed", n, maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return badOrder("customer", "%q contains a control character", name)
	}
	return nil
}

// euros writes an amount of cents for people.
func euros(cents int64) string { return fmt.Sprintf("€%d.%02d", cents/100, cents%100) }
