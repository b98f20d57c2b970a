package measure

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/pprof"
	"strings"
	"time"
)

// A Case is one load that several sides run alike, to be compared.
type Case struct {
	Name  string
	Sides []Side
}

// A Side is one of those who do the work.
type Side struct {
	Name string
	Run  func(ctx context.Context) (Result, error)
}

// An Outcome is what the sides of a case reached.
type Outcome struct {
	Case  string              `json:"case"`
	Sides map[string]*Reached `json:"sides"`
}

// Reached is one side of a case over all rounds.
type Reached struct {
	Rates  []float64     `json:"rates"` // operations a second, a round each
	Median float64       `json:"median"`
	CPU    time.Duration `json:"cpu_ns"`           // an operation, the median of the rounds
	P50    time.Duration `json:"p50_ns,omitempty"` // of all rounds together
	P99    time.Duration `json:"p99_ns,omitempty"`

	cpu, latencies Latencies
}

// A Comparison runs cases; its fields are the flags of the programs that
// compare. The sides of a case take turns within each round, so that a slow
// moment of the machine hits all of them.
type Comparison struct {
	Duration time.Duration `json:"duration_ns"`
	Rounds   int           `json:"rounds"`
	Only     string        `json:"only,omitempty"`
	Dir      string        `json:"-"`
	json     bool
	profile  string
}

// Flags defines the flags of the comparison.
func (c *Comparison) Flags(flags *flag.FlagSet) {
	flags.DurationVar(&c.Duration, "duration", time.Second, "how long each side of each case runs in each round")
	flags.IntVar(&c.Rounds, "rounds", 3, "rounds; the result is their median")
	flags.StringVar(&c.Only, "only", "", "only cases whose name matches this regular expression")
	flags.StringVar(&c.Dir, "dir", os.TempDir(), "directory for the databases; its disk is what sync measures")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of Markdown")
	flags.StringVar(&c.profile, "cpuprofile", "", "write a CPU profile of the whole run to this file")
}

// Warmup is how long a side runs before it counts.
func (c *Comparison) Warmup() time.Duration { return c.Duration / 5 }

// Run measures the cases that -only leaves and prints the outcome: as JSON, or
// as a table of the rows that row makes. Progress goes to standard error.
func (c *Comparison) Run(ctx context.Context, w io.Writer, cases []Case, header []string, row func(*Outcome) []string) error {
	chosen, err := c.choose(cases)
	if err != nil {
		return err
	}
	stop, err := c.startProfile()
	if err != nil {
		return err
	}
	defer stop()
	machine := Inspect(c.Dir)
	outcomes, err := c.interleave(ctx, chosen)
	if err != nil {
		return err
	}
	if c.json {
		return WriteJSON(w, struct {
			Machine  Machine     `json:"machine"`
			Settings *Comparison `json:"settings"`
			Outcomes []*Outcome  `json:"outcomes"`
		}{machine, c, outcomes})
	}
	machine.Print(w)
	fmt.Fprintf(w, "Operations a second; median of %d rounds of %v each side.\n\n", c.Rounds, c.Duration)
	table := Table{Header: header}
	for _, o := range outcomes {
		table.Add(row(o)...)
	}
	table.Print(w)
	return nil
}

func (c *Comparison) choose(cases []Case) ([]Case, error) {
	only, err := regexp.Compile(c.Only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	var chosen []Case
	for _, one := range cases {
		if only.MatchString(one.Name) {
			chosen = append(chosen, one)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("-only %q matches no case; they are named like %s", c.Only, cases[0].Name)
	}
	return chosen, nil
}

func (c *Comparison) startProfile() (stop func(), err error) {
	if c.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(c.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}

// interleave runs all rounds: each side of each case once a round.
func (c *Comparison) interleave(ctx context.Context, cases []Case) ([]*Outcome, error) {
	outcomes := make([]*Outcome, len(cases))
	for i, one := range cases {
		outcomes[i] = &Outcome{Case: one.Name, Sides: map[string]*Reached{}}
	}
	for round := range c.Rounds {
		for i, one := range cases {
			progress := []string{fmt.Sprintf("round %d of %d: %s", round+1, c.Rounds, one.Name)}
			for _, side := range one.Sides {
				r, err := side.Run(ctx)
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", one.Name, side.Name, err)
				}
				outcomes[i].add(side.Name, r)
				progress = append(progress, side.Name+" "+Count(r.Rate())+"/s")
			}
			fmt.Fprintln(os.Stderr, strings.Join(progress, ", "))
		}
	}
	return outcomes, nil
}

func (o *Outcome) add(side string, r Result) {
	s := o.Sides[side]
	if s == nil {
		s = &Reached{}
		o.Sides[side] = s
	}
	s.Rates = append(s.Rates, r.Rate())
	s.Median = Median(s.Rates)
	s.cpu = append(s.cpu, r.CPUPerOperation())
	s.CPU = s.cpu.Quantile(0.5)
	s.latencies = append(s.latencies, r.Latencies...)
	s.P50, s.P99 = s.latencies.Quantile(0.5), s.latencies.Quantile(0.99)
}
