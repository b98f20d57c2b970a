package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// A replayConfig is the command line of "shop replay".
type replayConfig struct {
	data  string
	since string
	json  bool
}

func parseReplayFlags(args []string, out io.Writer) (replayConfig, error) {
	var c replayConfig
	f := flag.NewFlagSet("shop replay", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.data, "data", "shop-data", "`directory` or URL of a shop that is closed")
	f.StringVar(&c.since, "since", "", "`moment` from which on orders are replayed (default all)")
	f.BoolVar(&c.json, "json", false, "print the report as JSON")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, "Works on recorded orders again, with the checkout as it is built now, and says what would be different. Changes nothing.\n\nFlags:\n")
		f.SetOutput(out)
		f.PrintDefaults()
	case err != nil:
		err = marked{badFlag("command line", "%w", err), errUsage}
	case f.NArg() > 0:
		err = marked{badFlag("command line", "%q is not a flag", f.Arg(0)), errUsage}
	}
	return c, err
}

// replayOrders is the command "shop replay".
func replayOrders(ctx context.Context, args []string, out io.Writer) (err error) {
	c, err := parseReplayFlags(args, out)
	if err != nil {
		return err
	}
	sys, err := dbos.Open(ctx, c.data, dbos.App("shop"), dbos.Existing())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	// Nobody is asked for money: the payment service's answers are recorded.
	shop := &Shop{sys: sys, payments: payment.NewClient("unix:/nowhere"), tries: 1}
	dbos.Workflow(sys, "checkout", shop.checkout)
	if err := dbos.RegisterError(sys, "payment.declined", &payment.Declined{}); err != nil {
		return err
	}
	report, err := sys.History().Replay(ctx, dbos.ReplayOptions{Since: c.since}, func(r dbos.Replayed) {
		if d := r.Divergence; d != nil && !c.json {
			fmt.Fprintf(out, "%s, step %d: %s\n  recorded: %s\n  now:      %s\n", r.Run, d.Seq, d.Detail, d.Recorded, d.Replayed)
		}
	})
	if err != nil {
		return err
	}
	if c.json {
		return json.NewEncoder(out).Encode(report)
	}
	fmt.Fprintf(out, "%d orders in %v: %d as they were, %d otherwise, of which %d would have ended otherwise; %d could not be replayed\n",
		report.Runs, report.Took.Round(1e6), report.Same, report.Diverged, report.EndedDifferently, report.Skipped)
	return nil
}
