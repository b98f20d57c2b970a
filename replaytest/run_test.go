package replaytest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/replaytest"
)

// A spy is a test that notes what is reported to it. Its Fatal ends only the
// goroutine, as that of a test does.
type spy struct {
	testing.TB
	errors []string
}

func (s *spy) Helper()                         {}
func (s *spy) Error(args ...any)               { s.errors = append(s.errors, fmt.Sprint(args...)) }
func (s *spy) Errorf(format string, a ...any)  { s.errors = append(s.errors, fmt.Sprintf(format, a...)) }
func (s *spy) Log(args ...any)                 {}
func (s *spy) Logf(format string, args ...any) {}

// double is the recorded program, if it is by 2.
func double(by int) func(sys *dbos.System) {
	return func(sys *dbos.System) {
		dbos.Workflow(sys, "double", func(ctx dbos.Context, n int) (int, error) {
			return dbos.Transaction(ctx, "multiply", func(tx *dbos.Tx) (int, error) {
				var product int
				err := tx.QueryRow("SELECT $1 * 2", n).Scan(&product)
				return product * by / 2, err
			})
		})
	}
}

// record makes a directory with so many recorded runs.
func record(t *testing.T, runs int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	sys, err := dbos.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	if _, err := sys.History().Moment(t.Context(), "now"); err != nil {
		t.Skip(err)
	}
	double(2)(sys)
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		id, err := sys.StartNamed(t.Context(), "double", []byte(fmt.Sprint(i+1)))
		if err == nil {
			_, err = sys.Outcome(t.Context(), id)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRun(t *testing.T) {
	dir := record(t, 3)
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		register func(sys *dbos.System)
		options  replaytest.Options
		errors   int
		text     string
	}{
		{"the same", double(2), replaytest.Options{}, 0, ""},
		{"changed", double(3), replaytest.Options{}, 3, "in step 1 (multiply): the transaction returns something else"},
		{"changed, and accepted", double(3), replaytest.Options{Accept: func(r dbos.Replayed) bool { return r.EndsDifferently }}, 0, ""},
		{"not registered", func(sys *dbos.System) {
			dbos.Workflow(sys, "triple", func(ctx dbos.Context, n int) (int, error) { return 3 * n, nil })
		}, replaytest.Options{}, 3, "has not registered it"},
		{"skipped", func(sys *dbos.System) {
			dbos.Workflow(sys, "triple", func(ctx dbos.Context, n int) (int, error) { return 3 * n, nil })
		}, replaytest.Options{AllowSkipped: true}, 0, ""},
		{"none", double(2), replaytest.Options{ReplayOptions: dbos.ReplayOptions{Names: []string{"triple"}}}, 1, "no ended runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &spy{TB: t}
			replaytest.Run(s, dir, c.register, c.options)
			if len(s.errors) != c.errors || len(s.errors) > 0 && !strings.Contains(s.errors[0], c.text) {
				t.Errorf("reported: %q", s.errors)
			}
		})
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("the directory was changed: %v, %v, %v", before, after, err)
	}
}
