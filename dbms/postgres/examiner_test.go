package postgres_test

import (
	"testing"

	"github.com/dbos-go/dbos/dbms/dbmstest"
)

func TestMain(m *testing.M) {
	dbmstest.Main(m, dbmstest.PostgresEngine, dbmstest.PostgresTriggersEngine, dbmstest.PostgresPoolerEngine)
}

func TestExaminer(t *testing.T) { dbmstest.Examine(t, dbmstest.PostgresEngine) }

// TestExaminerTriggers is about history by triggers; transactions run as
// always.
func TestExaminerTriggers(t *testing.T) {
	dbmstest.ExamineWithout(t, dbmstest.PostgresTriggersEngine,
		"Timeout", "Bank", "Histories", "Notify", "View", "Interrupt", "Statements", "Prepare", "Misuse", "Close")
}

// TestExaminerPooler is about transactions through a pooler; history is as
// always.
func TestExaminerPooler(t *testing.T) {
	dbmstest.ExamineWithout(t, dbmstest.PostgresPoolerEngine, "Changes", "ChangesOfCases", "ChangesInOrder", "Clock", "Trim")
}
