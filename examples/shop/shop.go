package main

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// migrations are the shop's tables; DBOS brings them up to date on Open.
//
//go:embed migrations
var migrations embed.FS

// shopChanged is the topic that every change of stock or orders notifies.
const shopChanged = "shop"

// A Shop is an open shop. Its methods may be called from any goroutine.
type Shop struct {
	sys       *dbos.System
	payments  *payment.Client
	checkouts *dbos.Definition[Order, Receipt]
	tills     *dbos.Queue
	tries     int      // how often the payment service is asked to charge a card
	catalogue []string // IDs of the items
}

// openShop opens the shop in the database that a URL names. It does not work on
// orders before launch. At most tills of them are worked on at once; each asks the
// payment service up to so many tries.
func openShop(ctx context.Context, url string, payments *payment.Client, tills, tries int, log *slog.Logger, more ...dbos.Option) (*Shop, error) {
	tables, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	opts := []dbos.Option{dbos.App("shop"), dbos.Migrations(tables), dbos.Logger(log)}
	sys, err := dbos.Open(ctx, url, append(opts, more...)...)
	if err != nil {
		return nil, err
	}
	s := &Shop{sys: sys, payments: payments, tries: tries}
	if err := s.prepare(ctx, tills); err != nil {
		return nil, errors.Join(err, sys.Close())
	}
	return s, nil
}

// prepare registers what the shop does, before anything is executed.
func (s *Shop) prepare(ctx context.Context, tills int) error {
	list, err := s.items(ctx)
	if err != nil {
		return err
	}
	for _, item := range list {
		s.catalogue = append(s.catalogue, item.ID)
	}
	s.checkouts = dbos.Workflow(s.sys, "checkout", s.checkout)
	if s.tills, err = dbos.NewQueue(ctx, s.sys, "tills", dbos.Concurrency(tills)); err != nil {
		return err
	}
	// A declined card stays a *payment.Declined in the journal, so that a
	// checkout that is continued after a crash sees what it saw before.
	return dbos.RegisterError(s.sys, "payment.declined", &payment.Declined{})
}

// place accepts an order. When it returns, the order is on disk and will be
// worked on, whatever happens to this process. Placing an order again, with
// its ID and all the same, changes nothing; another order with an ID that is
// taken is refused with abi.Exists.
func (s *Shop) place(ctx context.Context, o Order) (*dbos.Run[Receipt], error) {
	o = o.tidied()
	if err := o.check(s.catalogue); err != nil {
		return nil, err
	}
	return s.checkouts.Start(ctx, o, dbos.ID(o.ID), dbos.OnQueue(s.tills))
}

// unfinished returns how many orders have been accepted and not finished.
func (s *Shop) unfinished(ctx context.Context) (int, error) {
	status, err := s.sys.Status(ctx)
	n := 0
	for _, runs := range status.Runs {
		n += runs
	}
	return n, err
}
