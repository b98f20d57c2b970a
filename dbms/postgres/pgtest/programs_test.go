package pgtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dbos-go/dbos/abi"
)

// TestPrograms: the newest version that is complete is used, and without one
// the error says what to do.
func TestPrograms(t *testing.T) {
	root := t.TempDir()
	t.Setenv("PATH", "")
	install := func(version string, names ...string) string {
		dir := filepath.Join(root, version, "bin")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	patterns := []string{filepath.Join(root, "none", "*", "bin"), filepath.Join(root, "*", "bin")}
	install("17", "initdb") // a client, or half of an installation
	_, err := programs(patterns)
	if !errors.Is(err, ErrNotInstalled) || abi.HintOf(err) == "" {
		t.Errorf("without a complete installation: %v", err)
	}
	all := []string{"initdb", "pg_ctl", "postgres", "pg_basebackup"}
	install("9", all...)
	newest := install("16", all...)
	if got, err := programs(patterns); got != newest || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, newest)
	}
	onPath := install("own", all...)
	t.Setenv("PATH", onPath)
	if got, err := programs(patterns); got != onPath || err != nil {
		t.Errorf("got %s, %v; want %s", got, err, onPath)
	}
}
