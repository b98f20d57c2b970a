package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

const usage = `A small web shop that can be killed at any moment.

  shop                      open the shop at http://127.0.0.1:8080
  shop -orders FILE.jsonl   work through a file of orders and sum up
  shop -generate N          write a file of N orders to the standard output
  shop story                tell of an attack on the shop, and how it is undone
  shop replay               work on recorded orders again, and compare; changes nothing
  shop payment              the payment service; the shop starts it by itself

Everything that the shop knows is in tables in its data directory, or in a
PostgreSQL database that several shops share. While it runs, and when it does
not, look into them:

  go run ./cmd/dbos ps -d shop-data

Flags:
`

// A config is what the command line says.
type config struct {
	data     string // directory
	db       string // URL of a shared database; "" for one in the directory
	addr     string
	orders   string
	generate int
	json     bool
	tills    int
	tries    int
	address  payment.Address
	settings payment.Settings
	history  string // what is kept of it
}

// maxTills is the most orders that are worked on at once.
const maxTills = 1000

// maxTries is the most that a card's charge is tried.
const maxTries = 1000

// maxGenerate is the most orders of a generated file.
const maxGenerate = 10_000_000

// parseFlags reads the command line. The error is flag.ErrHelp after -h.
func parseFlags(args []string, out io.Writer) (config, error) {
	var c config
	f := flag.NewFlagSet("shop", flag.ContinueOnError)
	f.SetOutput(io.Discard) // errors are reported once, by main
	f.StringVar(&c.data, "data", "shop-data", "data `directory`")
	f.StringVar(&c.db, "db", "", "`URL` of a PostgreSQL database, postgres://USER@HOST/DATABASE; shops may share it (default one in the data directory)")
	f.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` of the web page; port 0 takes a free one")
	f.StringVar(&c.orders, "orders", "", "work through this `file` of orders, one JSON object a line, and end")
	f.IntVar(&c.generate, "generate", 0, "write so many `orders` to the standard output and end")
	f.BoolVar(&c.json, "json", false, "with -orders: write the summary as JSON")
	f.IntVar(&c.tills, "tills", 64, "how many `orders` are worked on at once")
	f.StringVar(&c.history, "history", historyAll, "`what` is kept of the past: all, changes (not what was read), or off, to measure what it costs")
	f.IntVar(&c.tries, "tries", 8, "how `often` the payment service is asked before an order is given up")
	f.StringVar((*string)(&c.address), "payment", "", "`address` of the payment service, unix:PATH or HOST:PORT (default a socket in the data directory)")
	f.DurationVar(&c.settings.Latency, "latency", 200*time.Millisecond, "how long the payment service takes, on average")
	f.Float64Var(&c.settings.Failures, "failures", 0.2, "`share` of the payment service's requests that fail, 0 to 1")
	err := f.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(out, usage)
		f.SetOutput(out)
		f.PrintDefaults()
		return c, err
	}
	if err != nil {
		return c, badFlag("command line", "%w", err)
	}
	if f.NArg() > 0 {
		return c, badFlag("command line", "%q is not a flag", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(fl *flag.Flag) { given[fl.Name] = true })
	return c, c.check(given)
}

func badFlag(name, format string, args ...any) error {
	return abi.Errorf("shop", abi.Invalid, name, format, args...).WithHint("shop -h lists the flags")
}

// check completes the configuration and says what does not go together.
func (c *config) check(given map[string]bool) error {
	switch {
	case given["generate"] && (c.generate < 1 || c.generate > maxGenerate):
		return badFlag("-generate", "%d is outside 1 to %d", c.generate, maxGenerate)
	case given["orders"] && c.orders == "":
		return badFlag("-orders", "it names no file")
	case given["orders"] && given["generate"]:
		return badFlag("-generate", "it does not go with -orders")
	case given["orders"] && given["addr"]:
		return badFlag("-addr", "it does not go with -orders, which serves no page")
	case c.json && !given["orders"]:
		return badFlag("-json", "it goes with -orders only")
	case given["db"] && !strings.HasPrefix(c.db, "postgres://") && !strings.HasPrefix(c.db, "postgresql://"):
		return badFlag("-db", "it is no postgres://… URL")
	case !slices.Contains(histories, c.history):
		return badFlag("-history", "%q is none of %s", c.history, strings.Join(histories, ", "))
	case c.data == "":
		return badFlag("-data", "it names no directory")
	case c.tills < 1 || c.tills > maxTills:
		return badFlag("-tills", "%d is outside 1 to %d", c.tills, maxTills)
	case c.tries < 1 || c.tries > maxTries:
		return badFlag("-tries", "%d is outside 1 to %d", c.tries, maxTries)
	}
	dir, err := filepath.Abs(c.data)
	if err != nil {
		return badFlag("-data", "%w", err)
	}
	c.data = dir
	if c.address == "" {
		c.address = payment.Address("unix:" + filepath.Join(dir, "payment.sock"))
	}
	if err := c.address.Check(); err != nil {
		return err
	}
	return c.settings.Check()
}

// database is the URL of the database.
func (c *config) database() string {
	if c.db != "" {
		return c.db
	}
	return "file:" + c.data
}

// What is kept of the past.
const (
	historyAll     = "all"
	historyChanges = "changes"
	historyOff     = "off"
)

var histories = []string{historyAll, historyChanges, historyOff}

// keep is what the flag means to DBOS.
func (c *config) keep() []dbos.Option {
	switch c.history {
	case historyChanges:
		return []dbos.Option{dbos.NoReads()}
	case historyOff:
		return []dbos.Option{dbos.NoHistory(), dbos.NoReads(), dbos.NoWarehouse()}
	}
	return nil
}

// makeData makes the data directory for what stays in it when the database is
// elsewhere: the payment service's ledger, log and socket.
func (c *config) makeData() error {
	if c.db == "" {
		return nil // the engine makes it, and says what is wrong with it
	}
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return badFlag("-data", "%w", err)
	}
	return nil
}

// ledger is the path of the payment service's ledger.
func (c *config) ledger() string { return filepath.Join(c.data, "payments.jsonl") }

// parsePaymentFlags reads the command line of the payment service.
func parsePaymentFlags(args []string, out io.Writer) (payment.Config, error) {
	var c payment.Config
	f := flag.NewFlagSet("shop payment", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar((*string)(&c.Address), "addr", "127.0.0.1:8081", "`address`, unix:PATH or HOST:PORT")
	f.StringVar(&c.Ledger, "ledger", "payments.jsonl", "the ledger's `file`")
	f.DurationVar(&c.Settings.Latency, "latency", 200*time.Millisecond, "how long a request takes, on average")
	f.Float64Var(&c.Settings.Failures, "failures", 0.2, "`share` of the requests that fail, 0 to 1")
	f.DurationVar(&c.Linger, "linger", 30*time.Second, "how long it stays when no shop is there")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, "The shop's payment service: slow, failing at times, with a ledger of its own.\n\nFlags:\n")
		f.SetOutput(out)
		f.PrintDefaults()
		return c, err
	case err != nil:
		return c, badFlag("command line", "%w", err)
	case f.NArg() > 0:
		return c, badFlag("command line", "%q is not a flag", f.Arg(0))
	case c.Linger <= 0:
		return c, badFlag("-linger", "%v is not above 0", c.Linger)
	}
	return c, nil
}

// paymentCommand is the command line that starts the payment service of a
// shop.
func (c *config) paymentCommand(program string) []string {
	return []string{program, "payment", "-addr", string(c.address), "-ledger", c.ledger(),
		"-latency", c.settings.Latency.String(), "-failures", fmt.Sprint(c.settings.Failures)}
}
