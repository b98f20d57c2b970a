package payment

import (
	"errors"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// A Request asks for money.
type Request struct {
	// Key is the idempotency key. Requests with the same key must be equal.
	Key string `json:"key"`
	// Order is what the money is for: the name under which it can be voided.
	Order string `json:"order"`
	// Card is the card's number, digits only.
	Card string `json:"card"`
	// Amount is in cents, above 0.
	Amount int64 `json:"amount"`
}

// A Charge is money taken.
type Charge struct {
	ID     string    `json:"id"`
	Amount int64     `json:"amount"`
	At     time.Time `json:"at"`
}

// Declined is the error of a charge that the service decided against. It is
// an answer, not a failure: asked again, it is the same.
type Declined struct {
	Card   string `json:"card"` // masked
	Reason string `json:"reason"`
}

// Error says which card was declined, and why.
func (d *Declined) Error() string { return "card " + d.Card + " was declined: " + d.Reason }

// Temporary reports whether the same call may succeed later: the service
// could not be reached, said that it is unavailable, or did not answer. After
// such an error nobody but the service knows whether it has charged the card.
func Temporary(err error) bool { return errors.Is(err, abi.Unavailable) }

func (r Request) check() error {
	const op = "payment.charge"
	switch {
	case r.Key == "":
		return abi.Errorf(op, abi.Invalid, "key", "it is empty").
			WithHint("send an idempotency key that is the same whenever this charge is tried")
	case r.Order == "":
		return abi.Errorf(op, abi.Invalid, "order", "it is empty")
	case r.Amount <= 0:
		return abi.Errorf(op, abi.Invalid, "amount", "%d cents cannot be charged", r.Amount)
	}
	_, err := CheckCard(r.Card)
	return err
}
