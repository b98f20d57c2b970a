package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// A story is a day on which somebody steals a clerk's password: customers
// order all the time, the thief changes prices and empties shelves, and then the
// operator finds what was done, and takes it back, in two ways.
type story struct {
	storyConfig
	out      io.Writer
	shop     *Shop
	payments *payment.Client

	mu      sync.Mutex
	honest  map[string]Order // by ID
	orders  int              // of honest customers
	began   time.Time        // the attack
	problem error            // the first of a customer

	resuming []string // runs that the last restore let go on
}

// A storyConfig is the story's command line.
type storyConfig struct {
	lasts     time.Duration // the attack
	customers int
	data, db  string
}

// The clerk whose password was stolen, and who looks into it.
const (
	thief    abi.Principal = "staff:eve"
	operator abi.Principal = "staff:olga"
)

func parseStoryFlags(args []string, out io.Writer) (storyConfig, error) {
	var c storyConfig
	f := flag.NewFlagSet("shop story", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.DurationVar(&c.lasts, "for", 20*time.Second, "how `long` the attack lasts")
	f.IntVar(&c.customers, "customers", 4, "how `many` honest customers order at the same time")
	f.StringVar(&c.data, "data", "", "`directory` that the story may fill (default a temporary one)")
	f.StringVar(&c.db, "db", "", "`URL` of an empty PostgreSQL database (default one in the directory)")
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, "An attack on the shop, and how it is found and undone. Prints the transcript.\n\nFlags:\n")
		f.SetOutput(out)
		f.PrintDefaults()
		return c, err
	case err != nil:
		return c, badFlag("command line", "%w", err)
	case f.NArg() > 0:
		return c, badFlag("command line", "%q is not a flag", f.Arg(0))
	case c.lasts < time.Second || c.lasts > time.Hour:
		return c, badFlag("-for", "%v is outside 1s to 1h", c.lasts)
	case c.customers < 1 || c.customers > 100:
		return c, badFlag("-customers", "%d is outside 1 to 100", c.customers)
	}
	return c, nil
}

// tellStory is the command "shop story".
func tellStory(ctx context.Context, args []string, out io.Writer) (err error) {
	c, err := parseStoryFlags(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		return marked{err, errUsage}
	}
	if c.data == "" {
		if c.data, err = os.MkdirTemp("", "shop-story"); err != nil {
			return err
		}
		defer os.RemoveAll(c.data)
	}
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return err
	}
	s := &story{storyConfig: c, out: out, honest: map[string]Order{}}
	stop, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := s.day(ctx); err != nil {
		return err
	}
	undone, before, err := s.first(ctx)
	if err != nil {
		return err
	}
	return s.second(ctx, undone, before)
}

// open opens the shop, with a payment service that neither waits nor fails.
// The function that it returns closes them.
func (s *story) open(ctx context.Context) (func() error, error) {
	address := payment.Address("unix:" + filepath.Join(s.data, "payment.sock"))
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		ended <- payment.Serve(serving, payment.Config{Address: address, Ledger: filepath.Join(s.data, "payments.jsonl"), Linger: time.Hour})
	}()
	closePayments := func() error { end(); return <-ended }
	s.payments = payment.NewClient(address)
	shop, err := s.openShop(ctx)
	if err != nil {
		return nil, errors.Join(err, closePayments())
	}
	s.shop = shop
	return func() error { return errors.Join(shop.sys.Close(), closePayments()) }, nil
}

// openShop opens the shop, and lets it work.
func (s *story) openShop(ctx context.Context) (*Shop, error) {
	url := s.db
	if url == "" {
		url = "file:" + filepath.Join(s.data, "shop")
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	shop, err := openShop(ctx, url, s.payments, 64, 8, log)
	if err != nil {
		return nil, err
	}
	if err := shop.sys.Launch(ctx); err != nil {
		return nil, errors.Join(err, shop.sys.Close())
	}
	return shop, nil
}

// day is what happens: a quiet time, the attack, and a little more, while
// customers order all the time.
func (s *story) day(ctx context.Context) error {
	// A shop that has much: nobody is to find it empty but for the thief.
	_, err := s.shop.deliver(ctx, 1_000_000)
	if err != nil {
		return err
	}
	s.say("The shop is open; %d customers order, one order after the other.", s.customers)
	working, home := context.WithCancel(ctx)
	defer home()
	var all sync.WaitGroup
	for i := range s.customers {
		all.Go(func() { s.customer(working, i) })
	}
	err = wait(ctx, s.lasts/4)
	if err == nil {
		s.began = time.Now()
		err = s.attack(ctx)
	}
	if err == nil {
		s.say("%s logs out. Customers go on ordering.", thief)
		err = wait(ctx, s.lasts/4)
	}
	home()
	all.Wait()
	s.say("Closing time: %d orders of honest customers were worked on.", s.orders)
	return errors.Join(err, s.problem)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// deliver brings so many more pieces of each item.
func (s *Shop) deliver(ctx context.Context, pieces int) (n int64, err error) {
	err = s.sys.Update(dbos.WithPrincipal(ctx, "staff:ben"), "shop.deliver", func(tx *dbos.Tx) error {
		n, err = tx.Exec(`UPDATE item SET stock = stock + $1, delivered = delivered + $1`, pieces)
		return err
	})
	return n, err
}

// customer orders until the day ends.
func (s *story) customer(ctx context.Context, i int) {
	random := rand.New(rand.NewPCG(7, uint64(i)))
	for n := 0; ctx.Err() == nil; n++ {
		o := randomOrder(random, fmt.Sprintf("c%d-%05d", i, n))
		as := dbos.WithPrincipal(context.WithoutCancel(ctx), abi.Principal("customer:"+o.Customer))
		_, err := s.shop.see(as, o)
		s.mu.Lock()
		s.orders++
		s.honest[o.ID] = o
		if s.problem == nil {
			s.problem = err
		}
		s.mu.Unlock()
		// As many orders in a short story as in a long one.
		if wait(ctx, time.Duration((0.5+random.Float64())*float64(s.lasts)/300)) != nil {
			return
		}
	}
}

// attack is what the thief does: coffee for a cent, other prices so high that
// nobody buys, mugs sent to a friend, honey thrown away.
func (s *story) attack(ctx context.Context) error {
	s.say("Somebody logs in as %s, with a stolen password.", thief)
	as := dbos.WithPrincipal(ctx, thief)
	deeds := 10
	for i := range deeds {
		err := s.shop.sys.Update(as, "shop.reprice", func(tx *dbos.Tx) error {
			_, err := tx.Exec(`UPDATE item SET price = $2 WHERE id = $1`, "coffee", 1+i%2)
			if err == nil && i == 0 {
				_, err = tx.Exec(`UPDATE item SET price = price * $2 WHERE id = $1`, "lamp", 100)
			}
			return err
		})
		if err != nil {
			return err
		}
		if i == deeds/2 {
			err = s.shop.sys.Update(as, "shop.writeoff", func(tx *dbos.Tx) error {
				_, err := tx.Exec(`UPDATE item SET stock = stock - $2, delivered = delivered - $2 WHERE id = $1`, "honey", 900_000)
				return err
			})
			if err != nil {
				return err
			}
		}
		order := Order{ID: fmt.Sprintf("e-%03d", i), Item: "mug", Quantity: maxQuantity, Customer: "Eve's friend", Card: payment.CardThatPays}
		if _, err := s.shop.see(as, order); err != nil {
			return err
		}
		if err := wait(ctx, s.lasts/time.Duration(deeds)); err != nil {
			return err
		}
	}
	return nil
}
