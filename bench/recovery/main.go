// Command recovery measures how soon a killed process's work goes on, in a
// data directory with many finished runs: a child process starts workflows
// that are inside a step, is killed, and the time is taken from opening the
// directory again to the first recovered step, and to the last.
//
//	cd bench && go run ./recovery
//	cd bench && go run ./recovery -finished 10000 -unfinished 100
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dbos-go/dbos/bench/internal/measure"
)

type settings struct {
	Finished   int    `json:"finished_runs"`
	Unfinished int    `json:"unfinished_runs"`
	Rounds     int    `json:"rounds"`
	dir        string // parent of the data directory
	json       bool
	child      string // data directory: this process is the one to be killed
}

func main() {
	var s settings
	flag.IntVar(&s.Finished, "finished", 1_000_000, "finished runs in the tables")
	flag.IntVar(&s.Unfinished, "unfinished", 1000, "runs inside a step when the process is killed")
	flag.IntVar(&s.Rounds, "rounds", 5, "kills; the result is the median and the worst")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the data directory")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of Markdown")
	flag.StringVar(&s.child, "child", "", "used by the program itself: start runs in this data directory and wait to be killed")
	flag.Parse()
	ctx := context.Background()
	var err error
	if s.child != "" {
		err = beKilled(ctx, s.child, s.Unfinished, os.Stdout)
	} else {
		err = run(ctx, s, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "recovery:", err)
		os.Exit(1)
	}
}

// A recovery is the times from Open after one kill.
type recovery struct {
	Open  time.Duration `json:"open_ns"`  // until Open returned
	First time.Duration `json:"first_ns"` // until the first recovered step ran
	All   time.Duration `json:"all_ns"`   // until every recovered run had finished
}

type report struct {
	Machine    measure.Machine `json:"machine"`
	Settings   settings        `json:"settings"`
	Fill       time.Duration   `json:"fill_ns"` // to insert the finished runs
	Disk       int64           `json:"disk_bytes"`
	Recoveries []recovery      `json:"recoveries"`
	Peak       int64           `json:"peak_resident_bytes"`
}

func run(ctx context.Context, s settings, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "dbos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := report{Machine: measure.Inspect(dir), Settings: s}
	began := time.Now()
	if err := fill(ctx, dir, s.Finished); err != nil {
		return err
	}
	r.Fill = time.Since(began)
	for round := range s.Rounds {
		if err := killChild(ctx, dir, s.Unfinished); err != nil {
			return err
		}
		one, err := recoverRuns(ctx, dir, s.Unfinished)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "kill %d of %d: first recovered step after %v\n", round+1, s.Rounds, measure.Duration(one.First))
		r.Recoveries = append(r.Recoveries, one)
	}
	if r.Disk, err = measure.DiskSize(dir); err != nil {
		return err
	}
	r.Peak = measure.PeakResident()
	if s.json {
		return measure.WriteJSON(w, r)
	}
	r.print(w)
	return nil
}

func (r *report) print(w io.Writer) {
	r.Machine.Print(w)
	fmt.Fprintf(w, "%d finished runs (inserted in %v), %d runs inside a step at each of %d kills; %s on disk, %s resident at most.\n\n",
		r.Settings.Finished, measure.Duration(r.Fill), r.Settings.Unfinished, r.Settings.Rounds,
		measure.Bytes(r.Disk), measure.Bytes(r.Peak))
	table := measure.Table{Header: []string{"from opening the directory to", "median", "worst"}}
	for _, line := range []struct {
		name string
		of   func(recovery) time.Duration
	}{
		{"Open returned", func(o recovery) time.Duration { return o.Open }},
		{"the first recovered step", func(o recovery) time.Duration { return o.First }},
		{"the last recovered run finished", func(o recovery) time.Duration { return o.All }},
	} {
		var times measure.Latencies
		for _, one := range r.Recoveries {
			times = append(times, line.of(one))
		}
		table.Add(line.name, measure.Duration(times.Quantile(0.5)), measure.Duration(times.Quantile(1)))
	}
	table.Print(w)
}
