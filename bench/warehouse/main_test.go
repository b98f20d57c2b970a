package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestSmallRun runs everything with little: all stores must give the same answers.
func TestSmallRun(t *testing.T) {
	var out bytes.Buffer
	s := settings{Changes: 20_000, Rows: 2000, Compare: 15_000, Rounds: 1, Part: "asof,engine,questions", dir: t.TempDir()}
	if err := run(t.Context(), s, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"20 000 changes over 2 000 live rows", "From the embedded engine: 15 000 changes", "tables by changes"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, out.String())
		}
	}
}
