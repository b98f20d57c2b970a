// Command postgres measures DBOS on PostgreSQL, beside River (the fastest job
// queue of Go on PostgreSQL) and beside plain inserts as pgbench makes them,
// all in one run on one server, with fsync. It starts a server of its own with
// PostgreSQL's default settings, or takes one by -url.
//
//	cd bench && go run ./postgres
//	cd bench && go run ./postgres -only '^work' -rounds 1
//
// The sides of a case take turns in each round, each in a new database. Where
// it says callers, so many goroutines each do one thing after the other. work
// puts a number of jobs into the queue and then takes the time from the start
// of the workers until the database says that all of them are done, which is
// how River measures itself; end to end takes the time from the first insert,
// with the workers running. River has the settings of its own benchmark.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"time"

	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/bench/internal/pgserver"
)

// settings are the flags.
type settings struct {
	measure.Comparison
	Jobs        int              `json:"jobs"`        // a round of work and end to end
	Workers     int              `json:"workers"`     // jobs worked at once
	Callers     int              `json:"callers"`     // of the other cases
	Connections int              `json:"connections"` // of each side's pool
	Samples     int              `json:"samples"`     // of the latency
	Kills       int              `json:"kills"`
	Held        time.Duration    `json:"held_ns"`
	WAL         string           `json:"wal_level"`
	Set         []string         `json:"set,omitempty"`
	NoHistory   bool             `json:"no_history,omitempty"`
	server      *pgserver.Server // nil with -url
	statements  bool
	sides       string
	wanted      *regexp.Regexp // sides
	url         string         // of a server's database, with the right to create others
	child       string         // the part that this process plays for its parent
}

func main() {
	s := &settings{}
	s.Flags(flag.CommandLine)
	flag.IntVar(&s.Jobs, "jobs", 30_000, "jobs of each side in each round of work and end to end")
	flag.IntVar(&s.Workers, "workers", 2000, "jobs that are worked at once")
	flag.IntVar(&s.Callers, "callers", 64, "goroutines that call, in the other cases")
	flag.IntVar(&s.Connections, "connections", 16, "connections of each side's pool")
	flag.IntVar(&s.Samples, "samples", 300, "samples of the latency between two processes")
	flag.IntVar(&s.Kills, "kills", 3, "processes killed to measure recovery")
	flag.DurationVar(&s.Held, "held", 5*time.Second, "how long each side works under a held snapshot, and without")
	flag.StringVar(&s.WAL, "wal-level", "logical", "wal_level of the server that is started; with replica DBOS records history by triggers")
	flag.BoolVar(&s.NoHistory, "no-history", false, "let DBOS record no changes, to see what that costs")
	flag.BoolVar(&s.statements, "statements", false, "print what pg_stat_statements saw of DBOS, to standard error")
	flag.StringVar(&s.sides, "sides", "", "only sides whose name matches this regular expression: plain, River, DBOS")
	flag.Func("set", "another setting of the server that is started, `name=value`; may be repeated", func(setting string) error {
		s.Set = append(s.Set, setting)
		return nil
	})
	flag.StringVar(&s.url, "url", "", "use this server (and wal_level as it is) instead of a new one")
	flag.StringVar(&s.child, "child", "", "used by the program itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if s.child != "" {
		err = s.playPart(ctx)
	} else {
		err = s.run(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "postgres:", err)
		os.Exit(1)
	}
}

// run starts the server, measures and prints.
func (s *settings) run(ctx context.Context, w io.Writer) (err error) {
	if s.url == "" {
		server, err := s.startServer(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		s.server, s.url = server, server.URL()
	}
	if s.statements {
		defer func() { err = errors.Join(err, s.printStatements(ctx)) }()
	}
	version, err := s.serverVersion(ctx)
	if err != nil {
		return err
	}
	only, err := regexp.Compile(s.Only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if s.wanted, err = regexp.Compile(s.sides); err != nil {
		return fmt.Errorf("-sides: %w", err)
	}
	fmt.Fprintf(w, "%s\n\n", version)
	if cases := s.choose(only, s.rates()); len(cases) > 0 {
		if err := s.Comparison.Run(ctx, w, cases, header, row); err != nil {
			return err
		}
	}
	for _, other := range s.others() {
		if !only.MatchString(other.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, other.name)
		if err := other.run(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", other.name, err)
		}
	}
	return nil
}

// choose returns the cases that -only and -sides leave.
func (s *settings) choose(only *regexp.Regexp, cases []measure.Case) []measure.Case {
	return slices.DeleteFunc(cases, func(c measure.Case) bool { return len(c.Sides) == 0 || !only.MatchString(c.Name) })
}

func (s *settings) startServer(ctx context.Context) (*pgserver.Server, error) {
	options := append([]string{"wal_level=" + s.WAL, "max_connections=200"}, s.Set...)
	if s.statements {
		options = append(options, "shared_preload_libraries=pg_stat_statements", "pg_stat_statements.max=10000")
	}
	return pgserver.Start(ctx, s.Dir, options...)
}

const (
	sideRaw   = "plain"
	sideRiver = "River"
	sideDBOS  = "DBOS"
)

// rates are the cases that count operations a second.
func (s *settings) rates() []measure.Case {
	three := func(name string, raw, river, dbos func(context.Context) (measure.Result, error)) measure.Case {
		c := measure.Case{Name: name}
		for _, side := range []measure.Side{{Name: sideRaw, Run: raw}, {Name: sideRiver, Run: river}, {Name: sideDBOS, Run: dbos}} {
			if side.Run != nil && s.wanted.MatchString(side.Name) {
				c.Sides = append(c.Sides, side)
			}
		}
		return c
	}
	return []measure.Case{
		three("insert one by one", s.rawInsert, s.riverInsert, s.dbosInsert),
		three("insert in batches", s.rawInsertMany, s.riverInsertMany, s.dbosInsertMany),
		three("work", nil, s.riverWork, s.dbosWork),
		three("end to end", nil, s.riverEndToEnd, s.dbosEndToEnd),
		three("workflow of no step", nil, nil, s.workflow(0, false)),
		three("workflow of 3 steps", nil, nil, s.workflow(3, false)),
		three("workflow of 1 transaction", nil, nil, s.workflow(1, true)),
	}
}

// An other is a measurement that does not count operations a second, with a
// table of its own.
type other struct {
	name string
	run  func(ctx context.Context, w io.Writer) error
}

func (s *settings) others() []other {
	return []other{
		{"held snapshot", s.heldSnapshot},
		{"latency", s.latency},
		{"recovery", s.recovery},
	}
}

var header = []string{"case", "plain inserts", "River", "DBOS", "DBOS ÷ plain", "DBOS ÷ River", "River's processor time", "DBOS's", "DBOS p50", "p99", "spread"}

func row(o *measure.Outcome) []string {
	raw, river, dbos := o.Sides[sideRaw], o.Sides[sideRiver], o.Sides[sideDBOS]
	for _, side := range []**measure.Reached{&raw, &river, &dbos} {
		if *side == nil {
			*side = &measure.Reached{}
		}
	}
	return []string{
		o.Case, count(raw.Median), count(river.Median), count(dbos.Median),
		measure.Ratio(dbos.Median, raw.Median), measure.Ratio(dbos.Median, river.Median),
		duration(river.CPU), duration(dbos.CPU), duration(dbos.P50), duration(dbos.P99),
		fmt.Sprintf("%.0f %%", 100*measure.Spread(dbos.Rates)),
	}
}

// count writes a rate, and a dash for a side that there is not.
func count(v float64) string {
	if v == 0 {
		return "-"
	}
	return measure.Count(v)
}

func duration(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return measure.Duration(d)
}
