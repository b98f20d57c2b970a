package postgres

import (
	"context"
	"github.com/dbos-go/dbos/dbms"
	"github.com/jackc/pgx/v5/pgconn"
	"time"
)

type historySetup struct {
	schema      string
	app         string
	mode        string
	off         bool
	retention   time.Duration
	walLimit    int64
	now         func() time.Time
	sql         executor
	transact    func(ctx context.Context, fn func(executor) error) error
	replication func(ctx context.Context) (*pgconn.PgConn, error)
	barrier     func(ctx context.Context) (dbms.LSN, error)
}

// A history is the record of changes, which is to come.
type history struct{}

func openHistory(ctx context.Context, s historySetup) (*history, error) { return &history{}, nil }
func (h *history) definitions(ctx context.Context, tx executor) error   { return nil }
func (h *history) changes(ctx context.Context, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	return nil, nil
}
func (h *history) trim(ctx context.Context, before time.Time) (dbms.LSN, error) { return 0, nil }
func (h *history) oldestLSN() dbms.LSN                                          { return 0 }
func (h *history) close()                                                       {}
