package postgres_test

import (
	"testing"

	"github.com/dbos-go/dbos/dbms/dbmstest"
)

func TestMain(m *testing.M) {
	dbmstest.Main(m, dbmstest.PostgresEngine, dbmstest.PostgresTriggersEngine, dbmstest.PostgresPoolerEngine)
}

func TestExaminer(t *testing.T) { dbmstest.Examine(t, dbmstest.PostgresEngine) }

func TestExaminerTriggers(t *testing.T) { dbmstest.Examine(t, dbmstest.PostgresTriggersEngine) }

func TestExaminerPooler(t *testing.T) { dbmstest.Examine(t, dbmstest.PostgresPoolerEngine) }
