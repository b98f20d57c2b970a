package dbos_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"testing/fstest"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// openExample opens a system in a new directory.
func openExample(opts ...dbos.Option) (*dbos.System, func()) {
	dir, err := os.MkdirTemp("", "dbos-example-")
	if err != nil {
		log.Fatal(err)
	}
	sys, err := dbos.Open(context.Background(), "file:"+dir, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return sys, func() {
		sys.Close()
		os.RemoveAll(dir)
	}
}

type Order struct {
	Item  string
	Count int
}

type Receipt struct {
	Paid int
	Left int
}

// A checkout that reserves stock and charges a card. Killed between any two
// lines, it continues where it was: the stock is taken once, and the payment
// service sees one idempotency key.
func Example() {
	ctx := context.Background()
	sys, closeAll := openExample(dbos.Migrations(fstest.MapFS{
		"0001_stock.sql": {Data: []byte(`CREATE TABLE stock (item TEXT PRIMARY KEY NOT NULL, count INTEGER NOT NULL CHECK (count >= 0));
			INSERT INTO stock VALUES ('tea', 10);`)},
	}))
	defer closeAll()

	checkout := dbos.Workflow(sys, "checkout", func(ctx dbos.Context, o Order) (Receipt, error) {
		left, err := dbos.Transaction(ctx, "reserve", func(tx *dbos.Tx) (int, error) {
			var left int
			err := tx.QueryRow("UPDATE stock SET count = count - $1 WHERE item = $2 RETURNING count", o.Count, o.Item).Scan(&left)
			return left, err
		})
		if err != nil {
			return Receipt{}, err
		}
		paid, err := dbos.Step(ctx, "charge", func(ctx context.Context) (int, error) {
			// Here the payment service is called, with dbos.IdempotencyKey(ctx).
			return o.Count * 4, nil
		}, dbos.Retry{Attempts: 5})
		return Receipt{Paid: paid, Left: left}, err
	})

	run, err := checkout.Start(ctx, Order{"tea", 3}, dbos.ID("order-42"))
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := run.Result(ctx)
	fmt.Println(receipt, err)
	// Output: {12 7} <nil>
}

// Starting a run twice under one ID is starting it once.
func ExampleID() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	greet := dbos.Workflow(sys, "greet", func(ctx dbos.Context, name string) (string, error) {
		fmt.Println("greeting", name)
		return "hello " + name, nil
	})
	for range 2 {
		run, err := greet.Start(ctx, "ada", dbos.ID("greet-ada"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(run.Result(ctx))
	}
	_, err := greet.Start(ctx, "bob", dbos.ID("greet-ada"))
	fmt.Println(errors.Is(err, abi.Exists))
	// Output:
	// greeting ada
	// hello ada <nil>
	// hello ada <nil>
	// true
}

// A step that fails at times is repeated; the pause grows.
func ExampleStep() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	calls := 0
	flaky := dbos.Workflow(sys, "flaky", func(ctx dbos.Context, _ struct{}) (int, error) {
		return dbos.Step(ctx, "call", func(ctx context.Context) (int, error) {
			if calls++; calls < 3 {
				return 0, errors.New("try later")
			}
			return calls, nil
		}, dbos.Retry{Attempts: 10, Backoff: time.Millisecond}, dbos.Timeout(time.Second))
	})
	run, err := flaky.Start(ctx, struct{}{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Result(ctx))
	// Output: 3 <nil>
}

// Children run side by side; a parent that waits for long takes no memory.
func ExampleDefinition_Start() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	square := dbos.Workflow(sys, "square", func(ctx dbos.Context, n int) (int, error) { return n * n, nil })
	sum := dbos.Workflow(sys, "sum", func(ctx dbos.Context, n int) (int, error) {
		var runs []*dbos.Run[int]
		for i := range n {
			run, err := square.Start(ctx, i)
			if err != nil {
				return 0, err
			}
			runs = append(runs, run)
		}
		total := 0
		for _, run := range runs {
			got, err := run.Result(ctx)
			if err != nil {
				return 0, err
			}
			total += got
		}
		return total, nil
	})
	run, err := sum.Start(ctx, 5)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Result(ctx))
	// Output: 30 <nil>
}

// A run publishes how far it is; anybody can wait for it.
func ExampleSetEvent() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	bake := dbos.Workflow(sys, "bake", func(ctx dbos.Context, cake string) (string, error) {
		if err := dbos.SetEvent(ctx, "oven", 180); err != nil {
			return "", err
		}
		if err := dbos.Sleep(ctx, 10*time.Millisecond); err != nil {
			return "", err
		}
		return cake + " is ready", nil
	})
	run, err := bake.Start(ctx, "cheesecake")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(dbos.GetEvent[int](ctx, sys, run.ID(), "oven"))
	fmt.Println(run.Result(ctx))
	// Output:
	// 180 <nil>
	// cheesecake is ready <nil>
}

// A run can be queued by the very transaction that makes it necessary.
func ExampleDefinition_StartIn() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	mail := dbos.Workflow(sys, "mail", func(ctx dbos.Context, to string) (string, error) { return "sent to " + to, nil })
	if err := sys.Launch(ctx); err != nil {
		log.Fatal(err)
	}
	var run *dbos.Run[string]
	err := sys.Update(ctx, "signup", func(tx *dbos.Tx) (err error) {
		run, err = mail.StartIn(tx, "ada@example.org")
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Result(ctx))
	// Output: sent to ada@example.org <nil>
}

var errSoldOut = errors.New("sold out")

// A registered error is itself again after a crash.
func ExampleRegisterError() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	if err := dbos.RegisterError(sys, "shop.sold-out", errSoldOut); err != nil {
		log.Fatal(err)
	}
	buy := dbos.Workflow(sys, "buy", func(ctx dbos.Context, item string) (int, error) {
		return dbos.Transaction(ctx, "reserve", func(tx *dbos.Tx) (int, error) {
			return 0, fmt.Errorf("%s: %w", item, errSoldOut)
		})
	})
	run, err := buy.Start(ctx, "tea")
	if err != nil {
		log.Fatal(err)
	}
	_, err = run.Result(ctx)
	fmt.Println(err, errors.Is(err, errSoldOut))
	// Output: tea: sold out true
}

// Everything is a table: what ran, when, and in which steps is one query.
func ExampleSystem_View() {
	ctx := context.Background()
	sys, closeAll := openExample()
	defer closeAll()
	work := dbos.Workflow(sys, "work", func(ctx dbos.Context, n int) (int, error) {
		return dbos.Step(ctx, "double", func(context.Context) (int, error) { return 2 * n, nil })
	})
	for n := range 3 {
		run, err := work.Start(ctx, n, dbos.ID(fmt.Sprint("work-", n)))
		if err != nil {
			log.Fatal(err)
		}
		if _, err := run.Result(ctx); err != nil {
			log.Fatal(err)
		}
	}
	err := sys.View(ctx, func(tx *dbos.Tx) error {
		rows, err := tx.Query(`SELECT t.id, t.state, s.name, s.output FROM sched_task AS t
			JOIN wf_step AS s ON s.execution = t.id WHERE t.input > $1 ORDER BY t.id`, "0")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, state, step, output string
			if err := rows.Scan(&id, &state, &step, &output); err != nil {
				return err
			}
			fmt.Println(id, state, step, output)
		}
		return rows.Err()
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// work-1 succeeded double 2
	// work-2 succeeded double 4
}
