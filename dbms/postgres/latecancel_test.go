package postgres

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A request to cancel a statement may reach the server when the statement has
// ended. It must then not hit another one's statement, on the connection that
// the first has given back.
func TestLateCancel(t *testing.T) {
	db := system(t, dbms.Options{})
	q := dbms.SQL("SELECT count(*) FROM generate_series(1, 2000)")
	ask := func(ctx context.Context) error {
		_, err := db.Update(ctx, abi.Call{Procedure: "ask"}, func(tx dbms.Tx) error {
			rows, err := tx.Query(q)
			if err != nil {
				return err
			}
			return rows.Close()
		})
		return err
	}
	tries := 300
	if testing.Short() {
		tries = 100
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range tries {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.N(2000))*time.Microsecond)
				_ = ask(ctx) // whether it comes in time
				cancel()
				if err := ask(t.Context()); err != nil {
					t.Errorf("a call that nobody cancelled: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
}
