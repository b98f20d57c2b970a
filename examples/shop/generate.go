package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/dbos-go/dbos/examples/shop/payment"
)

// declinedShare is how many of the generated orders pay with a card that is
// declined: one in so many.
const declinedShare = 12

// popular are the items that generated orders ask for, some more than others.
var popular = []string{"coffee", "coffee", "coffee", "tea", "tea", "bread", "bread", "bread", "honey", "mug", "lamp"}

var customers = []string{
	"Ada", "Alan", "Barbara", "Donald", "Edsger", "Frances", "Grace", "Jim",
	"Katherine", "Leslie", "Margaret", "Niklaus", "Radia", "Tony",
}

// generateOrders writes n orders that people might place. The same n gives the
// same orders.
func generateOrders(w io.Writer, n int) error {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	for i := range n {
		if err := lines.Encode(randomOrder(random, fmt.Sprintf("g%d-%06d", n, i+1))); err != nil {
			return err
		}
	}
	return out.Flush()
}

func randomOrder(random *rand.Rand, id string) Order {
	o := Order{
		ID:       id,
		Item:     popular[random.IntN(len(popular))],
		Quantity: 1 + random.IntN(3),
		Customer: customers[random.IntN(len(customers))],
		Card:     payment.CardThatPays,
	}
	if random.IntN(declinedShare) == 0 {
		o.Card = payment.CardThatDeclines
	}
	return o
}
