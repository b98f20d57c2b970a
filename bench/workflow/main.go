// Command workflow measures durable executions through the SDK: workflows of
// no step, of 1, 3 and 10 steps, and of 1 and 3 transaction steps, by 1, 8 and
// 64 callers, durable and not. A caller starts a workflow and waits for its
// result. Beside it, in the same run, bare SQLite writes the same rows in as
// few commits as that many callers allow.
//
//	cd bench && go run ./workflow
//	cd bench && go run ./workflow -only '^3 steps/64'
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/dbos-go/dbos/bench/internal/measure"
	"github.com/dbos-go/dbos/dbms"
)

func main() {
	var c measure.Comparison
	c.Flags(flag.CommandLine)
	flag.Parse()
	if err := c.Run(context.Background(), os.Stdout, cases(&c), header, row); err != nil {
		fmt.Fprintln(os.Stderr, "workflow:", err)
		os.Exit(1)
	}
}

// A load is a sort of workflow under a number of callers.
type load struct {
	*measure.Comparison
	name        string
	steps       int
	transaction bool // the steps insert a row each
	callers     int
	durability  dbms.Durability
}

const (
	sideFloor = "floor"
	sideDBOS  = "dbos"
)

func cases(c *measure.Comparison) []measure.Case {
	var all []measure.Case
	for _, sort := range []load{
		{name: "no step"},
		{name: "1 step", steps: 1},
		{name: "3 steps", steps: 3},
		{name: "10 steps", steps: 10},
		{name: "1 transaction", steps: 1, transaction: true},
		{name: "3 transactions", steps: 3, transaction: true},
	} {
		for _, callers := range []int{1, 8, 64} {
			for _, d := range []dbms.Durability{dbms.Async, dbms.Sync} {
				l := sort
				l.Comparison, l.callers, l.durability = c, callers, d
				all = append(all, measure.Case{
					Name: fmt.Sprintf("%s/%d/%s", l.name, callers, d),
					Sides: []measure.Side{
						{Name: sideFloor, Run: l.floor},
						{Name: sideDBOS, Run: l.dbos},
					},
				})
			}
		}
	}
	return all
}

var header = []string{"case", "SQLite, same rows", "DBOS workflows", "DBOS ÷ SQLite", "its processor time", "DBOS's", "p50", "p99", "spread"}

func row(o *measure.Outcome) []string {
	floor, dbos := o.Sides[sideFloor], o.Sides[sideDBOS]
	return []string{
		o.Case, measure.Count(floor.Median), measure.Count(dbos.Median),
		measure.Ratio(dbos.Median, floor.Median),
		measure.Duration(floor.CPU), measure.Duration(dbos.CPU),
		measure.Duration(dbos.P50), measure.Duration(dbos.P99),
		fmt.Sprintf("%.0f %%", 100*measure.Spread(dbos.Rates)),
	}
}
