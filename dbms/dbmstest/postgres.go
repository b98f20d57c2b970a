package dbmstest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// PostgresEngine is the engine on a server that many machines share, here on
// a temporary one. Its history is read from the server's log.
var PostgresEngine = postgresEngine("postgres", "dbos_history=logical")

// PostgresTriggersEngine is the same for servers that do not allow
// replication: its history is written by triggers.
var PostgresTriggersEngine = postgresEngine("postgres-triggers", "dbos_history=triggers")

// PostgresPoolerEngine is the engine behind PgBouncer in transaction mode.
var PostgresPoolerEngine = Engine{
	Name:     "postgres",
	Label:    "postgres-pooler",
	Requires: func(t testing.TB) { pgtest.NeedPooler(t) },
	Open: func(ctx context.Context, dir string, o dbms.Options) (dbms.DB, error) {
		s, err := pgtest.Shared()
		if err != nil {
			return nil, err
		}
		p, err := pgtest.SharedPooler()
		if err != nil {
			return nil, err
		}
		return openPostgres(ctx, s, p.URL(schemas.of(dir)), o)
	},
	Dialect: PostgreSQL(),
}

func postgresEngine(label string, parameters ...string) Engine {
	return Engine{
		Name:     "postgres",
		Label:    label,
		Requires: func(t testing.TB) { pgtest.Need(t) },
		Open: func(ctx context.Context, dir string, o dbms.Options) (dbms.DB, error) {
			s, err := pgtest.Shared()
			if err != nil {
				return nil, err
			}
			return openPostgres(ctx, s, s.URL(schemas.of(dir), parameters...), o)
		},
		Dialect: PostgreSQL(),
	}
}

// openPostgres opens a schema, and drops those whose directories are no longer
// there.
func openPostgres(ctx context.Context, s *pgtest.Server, url string, o dbms.Options) (dbms.DB, error) {
	for _, schema := range schemas.takeOrphans() {
		if err := s.Drop(schema); err != nil {
			return nil, err
		}
	}
	db, err := postgres.Open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	return db, nil
}

// schemas are those of this process: a test's directory goes with the test,
// and its schema, which costs the server a replication slot, soon after.
var schemas = schemaList{byDir: map[string]string{}}

type schemaList struct {
	mu    sync.Mutex
	byDir map[string]string
}

// of returns the name of the schema that belongs to a directory, in every
// process the same.
func (l *schemaList) of(dir string) string {
	digest := sha256.Sum256([]byte(dir))
	schema := "t" + hex.EncodeToString(digest[:8])
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byDir[dir] = schema
	return schema
}

func (l *schemaList) takeOrphans() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var orphans []string
	for dir, schema := range l.byDir {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			orphans = append(orphans, schema)
			delete(l.byDir, dir)
		}
	}
	return orphans
}
