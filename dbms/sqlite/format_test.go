package sqlite_test

import (
	"errors"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// A directory of a newer program must be refused, and left as it was.
func TestNewerFormatIsRefused(t *testing.T) {
	dir := t.TempDir()
	set := func(format int) {
		t.Helper()
		db, err := sqlite.Open(t.Context(), dir, dbms.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
			_, err := tx.Exec(dbms.System("UPDATE dbos_meta SET value = $1 WHERE key = 'format'"), format)
			return err
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	set(2)
	for range 2 {
		_, err := sqlite.Open(t.Context(), dir, dbms.Options{})
		if !errors.Is(err, abi.Unsupported) || abi.HintOf(err) == "" {
			t.Fatalf("Open: %v", err)
		}
	}
}
