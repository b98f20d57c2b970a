package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
	"github.com/dbos-go/dbos/server"
)

// TestMain lets the scripts run two programs: dbos, and a small application.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"dbos": main,
		"shop": shop,
	})
}

func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", func(env *testscript.Env) {})
}

// TestPostgresScripts runs the scripts that need a server. $URL and $URL2 name
// systems
// on it that are not there yet.
func TestPostgresScripts(t *testing.T) {
	server := pgtest.Need(t)
	runScripts(t, "testdata/postgres", func(env *testscript.Env) {
		env.Setenv("URL", server.URL(pgtest.Schema(t)))
		env.Setenv("URL2", server.URL(pgtest.Schema(t)))
	})
}

func runScripts(t *testing.T, dir string, setup func(*testscript.Env)) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DBOS_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, "cache")) // for warehouses of shared databases
			setup(env)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await,
			"exits": exits,
			"keep":  keep,
			"scrub": scrub,
		},
		Condition: func(condition string) (bool, error) {
			if condition != "warehouse" {
				return false, fmt.Errorf("there is no condition %s", condition)
			}
			return hasWarehouse()
		},
		UpdateScripts: *update,
	})
}

// hasWarehouse reports whether this build has a column store.
var hasWarehouse = sync.OnceValues(func() (bool, error) {
	dir, err := os.MkdirTemp("", "dbos")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	sys, err := dbos.Open(context.Background(), dir)
	if err != nil {
		return false, err
	}
	defer sys.Close()
	st, err := sys.History().Status(context.Background())
	return st.Dir != "", err
})

// shop is an application whose workflows end in every way. With the argument
// -quiet, or on a shared database without -door, it opens no door; with
// -nowarehouse it has no column store, and with -hold it opens it at once. It
// makes the file
// shop.ready when it executes, and runs until it is interrupted.
func shop() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := serveShop(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveShop(ctx context.Context, args []string) error {
	var opts []dbos.Option
	if slices.Contains(args, "-nowarehouse") {
		opts = append(opts, dbos.NoWarehouse())
	}
	sys, err := dbos.Open(ctx, os.Getenv("DBOS_DATA"), opts...)
	if err != nil {
		return err
	}
	defer sys.Close()
	shared := strings.HasPrefix(os.Getenv("DBOS_DATA"), "postgres")
	create := "create table if not exists stock (item text primary key, n integer) strict"
	if shared {
		create = "create table if not exists stock (item text primary key, n bigint)"
	}
	err = sys.Update(ctx, "shop.create", func(tx *dbos.Tx) error {
		_, err := tx.Exec(create)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := dbos.NewQueue(ctx, sys, "slow", dbos.Concurrency(1)); err != nil {
		return err
	}
	defineWorkflows(sys)
	if err := sys.Launch(ctx); err != nil {
		return err
	}
	if slices.Contains(args, "-hold") {
		if err := sys.History().Flush(ctx); err != nil {
			return err
		}
	}
	if slices.Contains(args, "-door") || !shared && !slices.Contains(args, "-quiet") {
		door, err := server.Serve(sys)
		if err != nil {
			return err
		}
		defer door.Close()
	}
	if err := os.WriteFile("shop.ready", nil, 0o600); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

type order struct {
	Item  string `json:"item"`
	Count int    `json:"count"`
}

func defineWorkflows(sys *dbos.System) {
	dbos.Workflow(sys, "checkout", func(ctx dbos.Context, o order) (string, error) {
		_, err := dbos.Transaction(ctx, "reserve", func(tx *dbos.Tx) (int64, error) {
			return tx.Exec("update stock set n = n - $1 where item = $2", o.Count, o.Item)
		})
		if err != nil {
			return "", err
		}
		if err := dbos.SetEvent(ctx, "progress", "reserved"); err != nil {
			return "", err
		}
		tries := 0
		_, err = dbos.Step(ctx, "charge", func(context.Context) (int, error) {
			if tries++; tries < 2 {
				return 0, errors.New("the bank is closed")
			}
			if o.Item == "gold" {
				return 0, errors.New("card refused")
			}
			return o.Count * 10, nil
		}, dbos.Retry{Attempts: 2, Backoff: time.Millisecond})
		return "receipt for " + o.Item, err
	})
	dbos.Workflow(sys, "hang", func(ctx dbos.Context, _ any) (any, error) {
		return dbos.Step(ctx, "hang", func(ctx context.Context) (any, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		})
	})
	dbos.Workflow(sys, "remind", func(ctx dbos.Context, d time.Duration) (string, error) {
		return "awake", dbos.Sleep(ctx, d)
	})
}
