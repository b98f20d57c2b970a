package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

// victimRuns is how many runs a process executes when it is killed.
const victimRuns = 200

// recovery measures how soon the work of a process that is killed with
// SIGKILL goes on in another one, at DBOS's own settings.
func (s *settings) recovery(ctx context.Context, w io.Writer) error {
	var first, all measure.Latencies
	for range s.Kills {
		f, a, err := s.killOne(ctx)
		if err != nil {
			return err
		}
		first, all = append(first, f), append(all, a)
	}
	table := measure.Table{Header: []string{fmt.Sprintf("from SIGKILL of a process with %d runs inside a step, %d times", victimRuns, s.Kills), "median", "worst"}}
	table.Add("the first of its steps runs in another process", measure.Duration(first.Quantile(0.5)), measure.Duration(first.Quantile(1)))
	table.Add("the last of them does", measure.Duration(all.Quantile(0.5)), measure.Duration(all.Quantile(1)))
	table.Print(w)
	return nil
}

func (s *settings) killOne(ctx context.Context) (first, all time.Duration, err error) {
	err = s.withDBOS(ctx, func(_ *dbos.System, url string) error {
		// The survivor comes second, lest it execute the runs from the start.
		victim, err := s.start(ctx, partVictim, url, victimRuns)
		if err != nil {
			return err
		}
		survivor, err := s.start(ctx, partSurvivor, url, victimRuns)
		if err != nil {
			victim.kill()
			return err
		}
		defer survivor.kill()
		began := time.Now()
		victim.kill()
		for i := range victimRuns {
			if _, err := survivor.line(); err != nil {
				return err
			}
			if i == 0 {
				first = time.Since(began)
			}
		}
		all = time.Since(began)
		return nil
	})
	return first, all, err
}
