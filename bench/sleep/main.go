// Command sleep measures what sleeping workflows cost: resident memory,
// goroutines, rows and bytes on disk before and after so many have gone to
// sleep, how late others wake while they sleep, and the memory and time of
// opening the directory with all of them in it.
//
//	cd bench && go run ./sleep
//	cd bench && go run ./sleep -sleepers 10000
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
	Sleepers int           `json:"sleepers"`
	Woken    int           `json:"woken"`
	Nap      time.Duration `json:"nap_ns"`
	dir      string
	json     bool
}

func main() {
	var s settings
	flag.IntVar(&s.Sleepers, "sleepers", 100_000, "workflows that sleep")
	flag.IntVar(&s.Woken, "woken", 200, "further workflows that sleep for -nap and wake")
	flag.DurationVar(&s.Nap, "nap", 2*time.Second, "how long these sleep; the SDK waits up to a second in memory")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the data directory")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of Markdown")
	flag.Parse()
	if err := run(context.Background(), s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sleep:", err)
		os.Exit(1)
	}
}

// A state is what the process holds at one moment.
type state struct {
	Moment     string `json:"moment"`
	Resident   int64  `json:"resident_bytes"`
	Heap       int64  `json:"go_heap_bytes"` // live objects of Go; most of the rest is SQLite's page caches
	Goroutines int    `json:"goroutines"`
	Sleeping   int64  `json:"sleeping"`
	Rows       int64  `json:"rows"` // tasks and journal
	Disk       int64  `json:"disk_bytes"`
}

type report struct {
	Machine  measure.Machine `json:"machine"`
	Settings settings        `json:"settings"`
	States   []state         `json:"states"`
	FellIn   time.Duration   `json:"fell_asleep_ns"` // from the first start until all slept
	Late50   time.Duration   `json:"late_p50_ns"`    // waking after the due time
	Late99   time.Duration   `json:"late_p99_ns"`
	Reopen   time.Duration   `json:"reopen_ns"` // Open and Launch with all sleepers in the tables
	Peak     int64           `json:"peak_resident_bytes"`
}

func run(ctx context.Context, s settings, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "dbos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := report{Machine: measure.Inspect(dir), Settings: s}
	if err := r.sleep(ctx, dir); err != nil {
		return err
	}
	if err := r.reopen(ctx, dir); err != nil {
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
	table := measure.Table{Header: []string{"moment", "resident", "of it Go objects", "goroutines", "sleeping", "rows", "on disk"}}
	for _, s := range r.States {
		table.Add(s.Moment, measure.Bytes(s.Resident), measure.Bytes(s.Heap), fmt.Sprint(s.Goroutines), fmt.Sprint(s.Sleeping), fmt.Sprint(s.Rows), measure.Bytes(s.Disk))
	}
	table.Print(w)
	fmt.Fprintf(w, "%d workflows were started and asleep after %v. With them asleep, %d others woke from %v of sleep late by %v (p50), %v (p99). Opening the directory again and launching took %v. Resident memory was %s at most.\n",
		r.Settings.Sleepers, measure.Duration(r.FellIn), r.Settings.Woken, r.Settings.Nap,
		measure.Duration(r.Late50), measure.Duration(r.Late99), measure.Duration(r.Reopen), measure.Bytes(r.Peak))
}
