// Command shop is a small real web shop: stock, orders, and a checkout that
// survives everything. Press its Crash button, or kill it with -9 at any
// moment: started again, it continues every order, sells nothing twice and
// charges nobody twice.
//
// Read checkout.go first: it is the workflow. shop.go opens the system and
// registers it, board.go asks questions in SQL, and the rest is an ordinary
// web server, a batch job and a payment service to quarrel with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
	"github.com/dbos-go/dbos/server"
)

// Exit statuses, besides 0 and payment.ExitOwned.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitStopped = 130 // by Ctrl-C or SIGTERM, with work left
)

func main() { os.Exit(run(os.Args[1:])) }

// run is the program: it returns the exit status.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once

	var err error
	switch {
	case len(args) > 0 && args[0] == "payment":
		err = servePayments(ctx, args[1:])
	case len(args) > 0 && args[0] == "story":
		err = tellStory(ctx, args[1:], os.Stdout)
	case len(args) > 0 && args[0] == "replay":
		err = replayOrders(ctx, args[1:], os.Stdout)
	default:
		err = runShop(ctx, args)
	}
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "shop: stopped; the same command continues")
		return exitStopped
	}
	report(os.Stderr, err)
	switch {
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errOtherService):
		return payment.ExitOwned
	}
	return exitFailed
}

// errUsage marks an error of the command line or of an order file: nothing
// has been done.
var errUsage = errors.New("usage")

// errOtherService marks the error of a payment service that is not needed.
var errOtherService = errors.New("another service")

// A marked error reads as its cause and is its mark for errors.Is.
type marked struct {
	error
	mark error
}

// Unwrap returns the cause and the mark.
func (m marked) Unwrap() []error { return []error{m.error, m.mark} }

// report writes an error for people: what is wrong, a line each, and what to
// do about it.
func report(w io.Writer, err error) {
	if m, ok := err.(marked); ok {
		report(w, m.error)
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			report(w, err)
		}
		return
	}
	fmt.Fprintln(w, "shop:", strings.TrimPrefix(err.Error(), "shop: "))
	if hint := abi.HintOf(err); hint != "" {
		fmt.Fprintln(w, "      hint:", hint)
	}
}

func servePayments(ctx context.Context, args []string) error {
	c, err := parsePaymentFlags(args, os.Stdout)
	if err != nil {
		return marked{err, errUsage}
	}
	err = payment.Serve(ctx, c)
	if errors.Is(err, abi.Owned) {
		return marked{err, errOtherService}
	}
	return err
}

// runShop opens the shop, and everything it needs, and does what the command
// line says.
func runShop(ctx context.Context, args []string) (err error) {
	c, err := parseFlags(args, os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return marked{err, errUsage}
	case c.generate > 0:
		return generateOrders(os.Stdout, c.generate)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	payments := payment.NewClient(c.address)
	if err := c.makeData(); err != nil {
		return err
	}
	shop, err := openShop(ctx, c.database(), payments, c.tills, c.tries, log, c.keep()...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.sys.Close()) }()
	var orders []Order
	if c.orders != "" { // before anything is started or placed
		if orders, err = readOrderFile(c.orders, shop.catalogue); err != nil {
			return marked{err, errUsage}
		}
	}
	if c.db == "" { // the dbos command opens a shared database by itself
		door, err := server.Serve(shop.sys)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, door.Close()) }()
	}

	watch := &paymentWatch{}
	launcher, err := c.launcher(payments)
	if err != nil {
		return err
	}
	health, started, err := launcher.Start(ctx)
	if err != nil {
		return err
	}
	watch.report(health, nil)
	keep, release := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() { defer close(kept); launcher.Keep(keep, watch.report) }()
	defer func() { release(); <-kept }()

	unfinished, err := shop.unfinished(ctx)
	if err != nil {
		return err
	}
	if err := shop.sys.Launch(ctx); err != nil {
		return err
	}
	status, err := shop.sys.Status(ctx)
	if err != nil {
		return err
	}
	opening := opening{c, status.Location, health, started, unfinished}
	if c.orders != "" {
		return workThrough(ctx, shop, orders, opening)
	}
	return serveWeb(ctx, shop, watch, opening)
}

func (c *config) launcher(client *payment.Client) (*payment.Launcher, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &payment.Launcher{
		Client: client, Command: c.paymentCommand(program), Settings: c.settings, Log: filepath.Join(c.data, "payment.log"),
	}, nil
}

// workThrough works through a file of orders.
func workThrough(ctx context.Context, shop *Shop, orders []Order, o opening) error {
	if !o.json {
		fmt.Fprintf(os.Stderr, "Working through %d orders of %s\n\n", len(orders), o.orders)
		o.write(os.Stderr, "")
	}
	sum, err := runBatch(ctx, shop, o.orders, orders, o.tills, newProgress(os.Stderr))
	if err != nil {
		return err
	}
	write := sum.writeText
	if o.json {
		write = sum.writeJSON
	}
	return errors.Join(write(os.Stdout), sum.verdict())
}
