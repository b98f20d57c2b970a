package dbos

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/transfer"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
)

// CopyOptions and what Copy tells: see package transfer.
type (
	CopyOptions  = transfer.Options
	CopyProgress = transfer.Progress
	CopyReport   = transfer.Report
)

// copyTime bounds the transaction that writes everything.
const copyTime = 24 * time.Hour

// Copy copies a whole system from one URL to another, whatever their engines:
// runs, journals, queues, and the application's tables with their rows. No
// program may have the source open, and the target must be empty, or not be
// there yet. It is one transaction of the target, verified by checksums: see
// transfer.Copy for what is not copied.
func Copy(ctx context.Context, from, to string, o CopyOptions) (report *CopyReport, err error) {
	if o.Principal == "" {
		o.Principal = osUser()
	}
	source, tasks, err := openToCopy(ctx, from, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := abandoned(ctx, source, tasks); err != nil {
		return nil, err
	}
	target, _, err := openToCopy(ctx, to, o.DryRun)
	switch {
	case o.DryRun && errors.Is(err, abi.NotFound):
		o.Engine = engineOf(to)
		return transfer.Copy(ctx, source, nil, o)
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	return transfer.Copy(ctx, source, target, o)
}

// openToCopy opens a database with the services' tables, and no more.
func openToCopy(ctx context.Context, url string, existing bool) (dbms.DB, *sched.Service, error) {
	db, err := openServices(ctx, url, dbms.Options{Timeout: copyTime, Existing: existing})
	if err != nil {
		return nil, nil, err
	}
	tasks, err := sched.New(ctx, db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, tasks, nil
}

// openServices opens a database and brings the services' tables up to date.
func openServices(ctx context.Context, url string, o dbms.Options) (dbms.DB, error) {
	db, err := openDB(ctx, url, o)
	if err != nil {
		return nil, err
	}
	_, err = sched.New(ctx, db)
	if err == nil {
		_, err = workflow.New(ctx, db)
	}
	if err == nil {
		_, err = prov.New(ctx, db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// abandoned fails if a process executes the source's runs. A directory's owner
// would have kept it from being opened.
func abandoned(ctx context.Context, db dbms.DB, tasks *sched.Service) error {
	if !tasks.Shared() {
		return nil
	}
	return db.View(ctx, func(tx dbms.Tx) error {
		workers, err := tasks.Workers(tx)
		if err != nil {
			return err
		}
		for _, w := range workers {
			if w.Alive {
				return abi.Errorf("dbos.copy", abi.Owned, db.Status().Location, "node %s executes its runs", w.ID).
					WithHint("end all programs that have the database open, or wait a moment if one was killed")
			}
		}
		return nil
	})
}

// engineOf is the name of the engine that a URL of openDB names.
func engineOf(url string) string {
	if scheme, _, _ := strings.Cut(url, ":"); scheme == "postgres" || scheme == "postgresql" {
		return postgres.Engine
	}
	return "sqlite"
}
