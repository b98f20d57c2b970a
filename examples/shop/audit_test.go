package main

import (
	"strings"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// The audit must see each way in which the books can be wrong.
func TestAuditSees(t *testing.T) {
	charge := func(order string, amount int64) payment.Entry {
		return payment.Entry{Op: payment.Charged, Order: order, Amount: amount}
	}
	void := func(order string, amount int64) payment.Entry {
		return payment.Entry{Op: payment.Voided, Order: order, Amount: amount}
	}
	sold := map[string]orderRow{"a": {Confirmed, 100}}
	tests := []struct {
		name    string
		orders  map[string]orderRow
		entries []payment.Entry
		want    string // in the only problem; "" for none
	}{
		{"a sale", sold, []payment.Entry{charge("a", 100)}, ""},
		{"a double charge", sold, []payment.Entry{charge("a", 100), charge("a", 100)}, "charged 2 times"},
		{"no charge", sold, nil, "was not charged"},
		{"a voided charge", sold, []payment.Entry{charge("a", 100), void("a", 100)}, "was not charged"},
		{"the wrong amount", sold, []payment.Entry{charge("a", 99)}, "over €1.00 was charged €0.99"},
		{"a decline", map[string]orderRow{"a": {Declined, 100}}, []payment.Entry{{Op: payment.Refused, Order: "a"}}, ""},
		{"a charge for nothing", map[string]orderRow{"a": {Declined, 100}}, []payment.Entry{charge("a", 100)}, "is declined and was charged"},
		{"given up", map[string]orderRow{"a": {NotPaid, 100}}, []payment.Entry{charge("a", 100), void("a", 100)}, ""},
		{"given up, not voided", map[string]orderRow{"a": {NotPaid, 100}}, []payment.Entry{charge("a", 100)}, "is not paid and was charged"},
		{"being charged", map[string]orderRow{"a": {"reserved", 100}}, []payment.Entry{charge("a", 100)}, ""},
		{"not charged yet", map[string]orderRow{"a": {"reserved", 100}}, nil, ""},
		{"an unknown order", nil, []payment.Entry{charge("b", 100)}, "order b, which the shop does not know"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a Audit
			a.compare(tt.orders, tt.entries)
			switch {
			case tt.want == "" && len(a.Ledger) > 0:
				t.Errorf("problems %q, want none", a.Ledger)
			case tt.want != "" && (len(a.Ledger) != 1 || !strings.Contains(a.Ledger[0], tt.want)):
				t.Errorf("problems %q, want one with %q", a.Ledger, tt.want)
			}
		})
	}
}

func TestAuditSeesLostStock(t *testing.T) {
	s := newShop(t)
	buy(t, s, someOrder("o1"))
	err := s.sys.Update(t.Context(), "lose", func(tx *dbos.Tx) error {
		_, err := tx.Exec(`UPDATE item SET stock = stock - 1 WHERE id = 'mug'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.audit(t.Context())
	if err != nil || a.ok() || len(a.Stock) != 1 || !strings.HasPrefix(a.Stock[0], "mug:") {
		t.Errorf("audit: %+v, %v; want the mug that is missing", a, err)
	}
}
