package replaytest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dbos-go/dbos"
)

// Options of Run. The zero value replays everything that there is.
type Options struct {
	// Open are what the program passes to dbos.Open: its App, Migrations,
	// codec.
	Open []dbos.Option
	// Replay chooses the runs.
	dbos.ReplayOptions
	// Accept says which divergences are what the change was for; nil accepts
	// none. An accepted one is logged.
	Accept func(dbos.Replayed) bool
	// AllowSkipped accepts runs that cannot be replayed, which are failures
	// otherwise.
	AllowSkipped bool
}

// Run replays recorded runs with the workflows that register registers, and
// reports each that diverges as an error of the test. It works on a copy of the
// directory, which nobody may have open meanwhile, and leaves the directory as it
// is; of a postgres:// URL it makes a scratch copy in the database.
// Nothing is executed that is not a step of a replayed run; external steps give their recorded
// outcome.
//
// That there was nothing to replay is an error, too.
func Run(t testing.TB, dir string, register func(sys *dbos.System), o Options) *dbos.ReplayReport {
	t.Helper()
	sys, err := dbos.Open(t.Context(), place(t, dir), append([]dbos.Option{dbos.Existing(), dbos.NoReads()}, o.Open...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sys.Close(); err != nil {
			t.Error(err)
		}
	}()
	register(sys)
	report, err := sys.History().Replay(t.Context(), o.ReplayOptions, func(r dbos.Replayed) {
		switch {
		case r.Skipped != nil && !o.AllowSkipped:
			t.Errorf("run %s of %s cannot be replayed: %v", r.Run, r.Workflow, r.Skipped)
		case r.Skipped != nil:
			t.Logf("run %s of %s is not replayed: %v", r.Run, r.Workflow, r.Skipped)
		case r.Same:
		case o.Accept != nil && o.Accept(r):
			t.Log(Describe(r))
		default:
			t.Error(Describe(r))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.Runs+report.Skipped == 0 {
		t.Errorf("%s has no ended runs to replay", dir)
	}
	return report
}

// place returns the URL of what may be opened.
func place(t testing.TB, dir string) string {
	if strings.HasPrefix(dir, "postgres://") || strings.HasPrefix(dir, "postgresql://") {
		return dir
	}
	dir = strings.TrimPrefix(strings.TrimPrefix(dir, "file:"), "//")
	into := t.TempDir() + "/data"
	if err := os.CopyFS(into, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return "file:" + into
}

// Describe says in words how a run diverged.
func Describe(r dbos.Replayed) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s of %s diverges", r.Run, r.Workflow)
	if d := r.Divergence; d != nil {
		if d.Seq > 0 {
			fmt.Fprintf(&b, " in step %d (%s)", d.Seq, d.Step)
		}
		fmt.Fprintf(&b, ": %s\n  recorded: %s\n  now:      %s", d.Detail, d.Recorded, d.Replayed)
	}
	if r.EndsDifferently && (r.Divergence == nil || r.Divergence.Seq > 0) {
		fmt.Fprintf(&b, "\n  it ended with:      %s\n  it would end with:  %s", r.Recorded, r.Replayed)
	}
	return b.String()
}
