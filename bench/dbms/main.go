// Command dbms measures the engine of Level 2: short procedures by 1, 8 and
// 64 callers, durable and not, with and without history, beside bare SQLite
// in the same run.
//
//	cd bench && go run ./dbms
//	cd bench && go run ./dbms -only '^empty/64' -duration 3s
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/dbos-go/dbos/bench/internal/measure"
)

func main() {
	var c measure.Comparison
	c.Flags(flag.CommandLine)
	flag.Parse()
	if err := c.Run(context.Background(), os.Stdout, cases(&c), header, row); err != nil {
		fmt.Fprintln(os.Stderr, "dbms:", err)
		os.Exit(1)
	}
}

var header = []string{
	"case", "SQLite, statements only", "SQLite with call rows", "DBOS without history", "DBOS",
	"DBOS ÷ SQLite with call rows", "its processor time", "DBOS's", "of it history", "p50", "p99", "spread",
}

func row(o *measure.Outcome) []string {
	plain, floor, bare, full := o.Sides[sidePlain], o.Sides[sideFloor], o.Sides[sideNoHistory], o.Sides[sideDBOS]
	statements := "-"
	if plain != nil {
		statements = measure.Count(plain.Median)
	}
	return []string{
		o.Case, statements, measure.Count(floor.Median), measure.Count(bare.Median), measure.Count(full.Median),
		measure.Ratio(full.Median, floor.Median),
		measure.Duration(floor.CPU), measure.Duration(full.CPU),
		fmt.Sprintf("%.0f %%", 100*(1-bare.CPU.Seconds()/full.CPU.Seconds())),
		measure.Duration(full.P50), measure.Duration(full.P99),
		fmt.Sprintf("%.0f %%", 100*measure.Spread(full.Rates)),
	}
}
