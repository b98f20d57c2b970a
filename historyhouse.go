package dbos

import (
	"context"
	"errors"
	"hash/fnv"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/warehouse"
)

// houseless says why the system has no warehouse, or nil.
func (o *options) houseless(op string) error {
	switch {
	case o.noHouse:
		return abi.Errorf(op, abi.Unsupported, "history", "the system was opened without a warehouse").
			WithHint("open it without dbos.NoWarehouse")
	case o.db.NoHistory:
		return abi.Errorf(op, abi.Unsupported, "history", "the system was opened without history").
			WithHint("open it without dbos.NoHistory")
	case !warehouse.Supported:
		return abi.Errorf(op, abi.Unsupported, "history", "this build has no column store").
			WithHint("build with CGO_ENABLED=1 and a C compiler (gcc) to ask for the past")
	}
	return nil
}

// retention is how long history is kept; negative for ever.
func (o *options) retention() time.Duration {
	if o.db.Retention == 0 {
		return dbms.DefaultRetention
	}
	return o.db.Retention
}

// engine returns the options that the engine is opened with: where there is a
// warehouse, it says what the engine may forget.
func (o *options) engine() dbms.Options {
	engine := o.db
	if o.houseless("dbos.open") == nil {
		engine.Retention = -1
	}
	return engine
}

// startHistory begins to follow the database.
func (s *System) startHistory(ctx context.Context) error {
	if s.options.houseless("dbos.open") != nil {
		return nil
	}
	err := s.prov.Start(ctx, prov.Options{
		Dir: s.houseDir(), Retention: s.options.db.Retention, Logger: s.log, Now: s.options.db.Now,
	})
	if errors.Is(err, abi.Unsupported) {
		return nil
	}
	return err
}

// houseDir is the directory of the warehouse.
func (s *System) houseDir() string {
	status := s.db.Status()
	switch {
	case s.options.warehouse != "":
		return s.options.warehouse
	case status.Engine != postgres.Engine:
		return filepath.Join(status.Location, "history")
	}
	cache, err := os.UserCacheDir()
	if err != nil { // a service without a home
		cache = filepath.Join(os.TempDir(), "dbos-"+strconv.Itoa(os.Getuid()))
	}
	return filepath.Join(cache, "dbos", houseName(status.Location))
}

// houseName makes a directory's name of a database's location: one that people
// recognise, and that no other database has. Who logs in does not matter.
func houseName(location string) string {
	address, schema, _ := strings.Cut(location, " ")
	if u, err := url.Parse(address); err == nil {
		u.User = nil
		address = u.Host + u.Path
	}
	name := address + " " + strings.Trim(schema, "()")
	sum := fnv.New32a()
	sum.Write([]byte(name))
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, name)
	return plain[:min(len(plain), 100)] + "-" + strconv.FormatUint(uint64(sum.Sum32()), 16)
}

// openScratch opens an empty database of the same engine beside the system's,
// and says how to be rid of it: on the embedded engine a temporary directory, else a
// schema of the same database.
func (s *System) openScratch(ctx context.Context) (dbms.DB, func() error, error) {
	o := dbms.Options{Durability: dbms.Async, NoHistory: true, Retention: -1, Timeout: copyTime, Node: s.db.Status().Node + "#scratch"}
	if s.db.Status().Engine == postgres.Engine {
		return s.scratchSchema(ctx, o)
	}
	dir, err := os.MkdirTemp("", "dbos-scratch-")
	if err != nil {
		return nil, nil, abi.Errorf("dbos.scratch", abi.Unavailable, "temporary directory", "%w", err)
	}
	db, err := openServices(ctx, "file:"+dir, o)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return db, func() error { return errors.Join(db.Close(), os.RemoveAll(dir)) }, nil
}

// scratchSchema opens a scratch database in a schema of its own.
func (s *System) scratchSchema(ctx context.Context, o dbms.Options) (dbms.DB, func() error, error) {
	u, err := url.Parse(s.options.url)
	if err != nil {
		return nil, nil, abi.Errorf("dbos.scratch", abi.Invalid, "URL", "it cannot be read")
	}
	query := u.Query()
	query.Set("dbos_schema", "scratch_"+strconv.FormatInt(time.Now().UnixNano(), 36))
	query.Del("dbos_history")
	u.RawQuery = query.Encode()
	db, err := openServices(ctx, u.String(), o)
	if err != nil {
		return nil, nil, errors.Join(err, postgres.Remove(ctx, u.String()))
	}
	return db, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
		defer cancel()
		return errors.Join(db.Close(), postgres.Remove(ctx, u.String()))
	}, nil
}
