package dbos_test

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// engineEnv names the engine on which the SDK's tests run; without it, SQLite.
const engineEnv = "DBOS_TEST_ENGINE"

// byDir are the schemas that stand for a test's directories.
var byDir = map[string]string{}

// urlOf returns the URL of the database that belongs to a test's directory.
func urlOf(t *testing.T, dir string) string {
	t.Helper()
	if os.Getenv(engineEnv) != "postgres" {
		return "file:" + dir
	}
	s := pgtest.Need(t)
	schema := byDir[dir]
	if schema == "" {
		schema = pgtest.Schema(t)
		byDir[dir] = schema
	}
	return s.URL(schema)
}

// TestOnPostgres runs the SDK's own tests on PostgreSQL, in a process of
// their own.
func TestOnPostgres(t *testing.T) {
	if os.Getenv(engineEnv) != "" {
		t.Skip("this is the other process")
	}
	pgtest.Need(t)
	tests := []string{
		"TestWorkflowRunsItsStepsOnce", "TestRunContinuesAfterClose", "TestErrorsSurvive", "TestRetryAndTimeout", "TestSleepParksAndWakes",
		"TestChildrenAndEvents", "TestCancelReachesTheStepAndResumeContinues", "TestQueueKeepsOrderAndLimits", "TestDivergenceStopsTheRun",
		"TestPanicFailsTheRun", "TestTransactionErrorRollsBackAndIsRecorded", "TestStartIn", "TestStartMany", "TestZombieWritesNothing",
		"TestLimits", "TestClosed", "TestRestoreUnderARunningSystem", "TestRestoreThenCrash", "TestForkGoesOn", "TestFootprints",
		"TestViewsAreWrittenDown", "TestRetroactiveTest",
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^("+strings.Join(tests, "|")+")$", "-test.v")
	cmd.Env = append(os.Environ(), engineEnv+"=postgres")
	out, err := cmd.CombinedOutput()
	passed := 0
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "--- PASS") {
			passed++
		}
	}
	if err != nil || passed != len(tests) {
		t.Fatalf("%d of %d passed: %v\n%s", passed, len(tests), err, out)
	}
}
