// Package payment is the shop's payment service, and the client of it: a
// process of its own that knows nothing of DBOS. It stands for the world
// outside, which no transaction of ours can reach: it is slow, it refuses
// requests, it loses replies after it has taken the money, and it may be
// killed. What it gives in return is what real payment services give: a
// request with an idempotency key that it has seen is answered as it was the
// first time and charges nothing.
//
// Everything it does is a line in its ledger, a file that only it writes, so
// that an order charged twice would show.
package payment
