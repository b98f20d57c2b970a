package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// TestStory tells the story on both engines. It checks itself: see checkUndo,
// same and reopened.
func TestStory(t *testing.T) {
	for _, engine := range []string{"embedded", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			args := []string{"-for", "1s", "-customers", "2", "-data", t.TempDir()}
			if engine == "postgres" {
				args = append(args, "-db", pgtest.Need(t).URL(pgtest.Schema(t)))
			}
			var out bytes.Buffer
			if err := tellStory(t.Context(), args, &out); err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			for _, text := range []string{"First telling", "honest orders are as they were", "Second telling", "as it was before staff:eve came"} {
				if !strings.Contains(out.String(), text) {
					t.Errorf("the transcript does not say %q", text)
				}
			}
			t.Log(out.String())
		})
	}
}

func TestStoryFlags(t *testing.T) {
	for _, args := range [][]string{{"-for", "0.9s"}, {"-for", "61m"}, {"-customers", "0"}, {"-customers", "101"}, {"more"}, {"-unknown"}} {
		if err := tellStory(t.Context(), args, &bytes.Buffer{}); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
}
