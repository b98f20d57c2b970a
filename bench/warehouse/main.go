// Command warehouse measures the column store of history: how fast changes are
// spooled into it, and with how much memory; how long questions as of a moment take over many
// changes; and ingest and five questions beside the same events kept as lines of JSON that are
// scanned, and as rows in SQLite.
//
//	cd bench && go run ./warehouse
//	cd bench && go run ./warehouse -changes 5000000 -rows 1000000 -part asof
//
// The changes come from a generator in the place of an engine (its Changes makes them), and
// go through Spool as an engine's do: what is measured is the warehouse, and the layout is the one
// that it has in use. Part engine spools from the embedded engine instead.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/dbos-go/dbos/bench/internal/measure"
)

type settings struct {
	Changes int    `json:"changes"`
	Rows    int    `json:"rows"`
	Compare int    `json:"compare_changes"`
	Rounds  int    `json:"rounds"`
	Part    string `json:"part"`
	Memory  int64  `json:"memory_limit_bytes"`
	Threads int    `json:"threads"`
	profile string
	dir     string
	json    bool
}

func main() {
	var s settings
	flag.IntVar(&s.Changes, "changes", 100_000_000, "changes in the warehouse (parts spool and asof)")
	flag.IntVar(&s.Rows, "rows", 1_000_000, "live rows that they are of")
	flag.IntVar(&s.Compare, "compare", 2_000_000, "changes to ingest and ask beside others (part questions) and from the engine (part engine)")
	flag.IntVar(&s.Rounds, "rounds", 5, "times that each question is asked; the result is the median")
	flag.StringVar(&s.Part, "part", "asof,engine,questions", "what to measure")
	flag.Int64Var(&s.Memory, "memory", 0, "the store's memory limit in bytes; 0 is the default")
	flag.IntVar(&s.Threads, "threads", 0, "the store's threads; 0 is one for each core")
	flag.StringVar(&s.profile, "cpuprofile", "", "write a profile of the processor's time to this file")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the files")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of Markdown")
	flag.Parse()
	if err := run(context.Background(), s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "warehouse:", err)
		os.Exit(1)
	}
}

type report struct {
	Machine   measure.Machine `json:"machine"`
	Settings  settings        `json:"settings"`
	AsOf      *asOf           `json:"asof,omitempty"`
	Engine    *ingest         `json:"engine,omitempty"`
	Questions []side          `json:"questions,omitempty"`
}

// An ingest is how changes got into a store.
type ingest struct {
	Changes int           `json:"changes"`
	Took    time.Duration `json:"took_ns"`
	Bytes   int64         `json:"bytes"`
	Archive int64         `json:"archive_bytes,omitempty"`
	Peak    int64         `json:"peak_resident_bytes,omitempty"`
}

func (i *ingest) rate() float64 { return float64(i.Changes) / i.Took.Seconds() }

func run(ctx context.Context, s settings, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "dbos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.profile != "" {
		f, err := os.Create(s.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	r := report{Machine: measure.Inspect(dir), Settings: s}
	for part := range strings.SplitSeq(s.Part, ",") {
		switch part {
		case "asof":
			r.AsOf, err = measureAsOf(ctx, s, dir)
		case "engine":
			r.Engine, err = measureEngine(ctx, s, dir)
		case "questions":
			r.Questions, err = measureQuestions(ctx, s, dir)
		default:
			err = fmt.Errorf("no part is called %q", part)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	if s.json {
		return measure.WriteJSON(w, r)
	}
	r.print(w)
	return nil
}

func (r *report) print(w io.Writer) {
	r.Machine.Print(w)
	if r.AsOf != nil {
		r.AsOf.print(w, r.Settings)
	}
	if r.Engine != nil {
		fmt.Fprintf(w, "From the embedded engine: %s changes in %v, %s/s.\n\n", measure.Count(float64(r.Engine.Changes)),
			measure.Duration(r.Engine.Took), measure.Count(r.Engine.rate()))
	}
	printQuestions(w, r.Questions)
}
