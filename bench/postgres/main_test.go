package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary play a part: see start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-child" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestEverythingIsMeasured runs each measurement as shortly as can be: the
// figures mean nothing, but there are some.
func TestEverythingIsMeasured(t *testing.T) {
	s := &settings{Jobs: 300, Workers: 100, Callers: 4, Connections: 8, Samples: 3, Kills: 1, Held: 600 * time.Millisecond, WAL: "logical"}
	// Not t.TempDir, into which the server's user may not look.
	s.Duration, s.Rounds, s.Dir = 100*time.Millisecond, 1, os.TempDir()
	var out bytes.Buffer
	err := s.run(t.Context(), &out)
	if err != nil && strings.Contains(err.Error(), "is not installed") && os.Getenv("DBOS_TEST_REQUIRE") != "all" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		"fsync on", "| insert one by one ", "| insert in batches ", "| work ", "| end to end ", "| workflow of no step ", "| workflow of 3 steps ",
		"| workflow of 1 transaction ", "snapshot held", "from enqueue to start", "from SIGKILL",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, out.String())
		}
	}
}

func TestBatchesAreWhole(t *testing.T) {
	for _, c := range []struct{ n, callers, size int }{{0, 3, 10}, {1, 3, 10}, {10, 3, 10}, {95, 4, 10}, {100, 1, 7}} {
		sum := make(chan int, 1000)
		err := inBatches(c.n, c.callers, c.size, func(n int) error { sum <- n; return nil })
		close(sum)
		total := 0
		for n := range sum {
			total += n
		}
		if err != nil || total != c.n {
			t.Errorf("%+v: %d done, %v", c, total, err)
		}
	}
}
