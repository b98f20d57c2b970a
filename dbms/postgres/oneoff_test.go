package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A one-off statement that is wrong in its types fails. It used to run again
// for ever, because what the first run had found out was not kept.
func TestOneOffOfWrongType(t *testing.T) {
	db := system(t, dbms.Options{})
	for _, text := range []string{"SELECT max('x'::bytea)", "SELECT 'a'::text + 1", "SELECT CASE WHEN true THEN 1 ELSE 'x'::text END"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err := db.View(ctx, func(tx dbms.Tx) error {
			_, err := tx.Query(dbms.System(text))
			return err
		})
		if abi.KindOf(err) != abi.Invalid {
			t.Errorf("%s: %v", text, err)
		}
	}
}
