package dbmstest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

const (
	accounts = 10
	deposit  = 100
)

var (
	bankTotal  = "SELECT sum(balance) FROM account"
	bankAmount = "SELECT balance FROM account WHERE id = $1"
	bankMove   = "UPDATE account SET balance = balance + $2 WHERE id = $1"
)

// examineBank moves money between accounts from many goroutines while others
// look: nobody ever sees more or less than the whole, and no account is
// overdrawn.
func examineBank(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.exec("CREATE TABLE account (id bigint PRIMARY KEY NOT NULL, balance bigint NOT NULL)")
	for id := range accounts {
		d.exec("INSERT INTO account VALUES ($1, $2)", id, deposit)
	}
	var movers, viewers sync.WaitGroup
	for seed := range 6 {
		movers.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(seed)))
			for range rounds(150) {
				if _, err := d.Update(t.Context(), examiner, transfer(random)); err != nil && err != errBoom {
					t.Errorf("transfer: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	for range 2 {
		viewers.Go(func() {
			for {
				if err := d.View(t.Context(), checkWhole); err != nil {
					t.Errorf("view: %v", err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	finally(t, "the transfers", movers.Wait)
	close(done)
	promptly(t, "the views", viewers.Wait)
	d.want(accounts*deposit, bankTotal)
	d.want(0, "SELECT count(*) FROM account WHERE balance < 0")
}

// transfer moves some money if the account has it. Sometimes it fails between
// taking and giving. fn may run again, so it draws beforehand.
func transfer(random *rand.Rand) func(dbms.Tx) error {
	from, to := random.IntN(accounts), random.IntN(accounts)
	amount, fails := 1+random.Int64N(deposit), random.IntN(10) == 0
	return func(tx dbms.Tx) error {
		if err := checkWhole(tx); err != nil {
			return err
		}
		has, err := integer(tx, bankAmount, from)
		if err != nil || has < amount {
			return err
		}
		if err := run(bankMove, from, -amount)(tx); err != nil {
			return err
		}
		if fails {
			return errBoom
		}
		if err := run(bankMove, to, amount)(tx); err != nil {
			return err
		}
		return checkWhole(tx)
	}
}

func checkWhole(tx dbms.Tx) error {
	sum, err := integer(tx, bankTotal)
	if err == nil && sum != accounts*deposit {
		err = fmt.Errorf("the accounts hold %d, want %d", sum, accounts*deposit)
	}
	return err
}
