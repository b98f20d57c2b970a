package dbmstest

import (
	"os"
	"testing"
)

// requireEnv, if set, makes a test fail that lacks something of its machine.
const requireEnv = "DBOS_TEST_REQUIRE"

// lacking skips a test for which this machine lacks something, and says what
// and how to get it. Where everything is required it fails.
func lacking(t *testing.T, what, remedy string) {
	t.Helper()
	if os.Getenv(requireEnv) != "" {
		t.Fatalf("%s; %s", what, remedy)
	}
	t.Skipf("%s; %s", what, remedy)
}
