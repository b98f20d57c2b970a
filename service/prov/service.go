package prov

import (
	"context"
	"embed"
	"os"
	"sync/atomic"

	"github.com/dbos-go/dbos/dbms"
)

//go:embed schema
var schema embed.FS

//go:embed queries.sql
var queries string

// statements are the service's SQL.
type statements struct {
	TextInsert, ViewInsert, ViewForget *dbms.Query
	WarehousePut, WarehouseOldest      *dbms.Query
}

// A Service is provenance and time travel over one database. Its methods may
// be called from any goroutine.
type Service struct {
	db       dbms.DB
	host     string
	follower atomic.Pointer[follower]
	q        statements
	texts    texts
}

// New returns the service over a database and brings its tables up to date. It
// does no work of its own until Start.
func New(ctx context.Context, db dbms.DB) (*Service, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	s := &Service{db: db, host: host}
	source := dbms.Schema{Owner: "prov", Files: schema, Queries: queries}
	if err := source.Install(ctx, db, &s.q); err != nil {
		return nil, err
	}
	return s, nil
}

// DB is the database that the service is over.
func (s *Service) DB() dbms.DB { return s.db }
