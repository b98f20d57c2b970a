package sqlite_test

import (
	"testing"

	"github.com/dbos-go/dbos/dbms/dbmstest"
)

func TestMain(m *testing.M) { dbmstest.Main(m, dbmstest.SQLiteEngine) }

func TestExaminer(t *testing.T) { dbmstest.Examine(t, dbmstest.SQLiteEngine) }
