package sqlite_test

import (
	"os"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

// TestExisting: where nothing is to be made, nothing is made.
func TestExisting(t *testing.T) {
	dir := t.TempDir()
	_, err := sqlite.Open(t.Context(), dir, dbms.Options{Existing: true})
	if abi.KindOf(err) != abi.NotFound || abi.HintOf(err) == "" {
		t.Errorf("opening a system that is not there: %v", err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
		t.Errorf("it made %v, error %v", files, err)
	}
	for _, existing := range []bool{false, true} {
		db, err := sqlite.Open(t.Context(), dir, dbms.Options{Existing: existing})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
