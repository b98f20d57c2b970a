package pgtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/abi"
)

// requireEnv, if set, makes a test fail that lacks something of its machine.
const requireEnv = "DBOS_TEST_REQUIRE"

// Need returns the shared server. Without PostgreSQL on the machine it skips
// the test, or fails it where everything is required.
func Need(t testing.TB) *Server {
	t.Helper()
	s, err := Shared()
	Check(t, err)
	return s
}

// Check fails a test whose server or pooler has not started. If the machine
// does not have the program, it skips the test, or fails it where everything is
// required.
func Check(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case (errors.Is(err, ErrNotInstalled) || errors.Is(err, ErrNoPooler)) && os.Getenv(requireEnv) == "":
		t.Skipf("%v; %s", err, abi.HintOf(err))
	default:
		t.Fatal(err)
	}
}

// Schema returns the name of a schema that nobody has on the shared server,
// and drops what the test made of it at its end: its cleanup comes after the
// cleanups that the test registers later, so close the database in one.
func Schema(t testing.TB) string {
	t.Helper()
	s := Need(t)
	name := fmt.Sprintf("t%016x", rand.Uint64())
	t.Cleanup(func() {
		if err := s.Drop(name); err != nil {
			t.Errorf("drop schema %s: %v", name, err)
		}
	})
	return name
}

// Exec runs statements, as the superuser, and returns the values of the last
// one's rows as text.
func (s *Server) Exec(ctx context.Context, sql string) ([][]string, error) {
	conn, err := pgconn.Connect(ctx, s.Admin())
	if err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var rows [][]string
	for _, row := range results[len(results)-1].Rows {
		var texts []string
		for _, value := range row {
			texts = append(texts, string(value))
		}
		rows = append(rows, texts)
	}
	return rows, nil
}

// Drop removes a DBOS system with all that it made in the server: its schema,
// role, publications and replication slots. It waits until the slot's reader, if
// there is still one, has ended.
func (s *Server) Drop(schema string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.dropSlots(ctx, schema); err != nil {
		return err
	}
	role := schema + "_app"
	script := `SET client_min_messages = warning; SET lock_timeout = '20s';
		DROP PUBLICATION IF EXISTS ` + identifier("dbos_"+schema) + `, ` + identifier("dbos_"+schema+"_log") + `; DROP SCHEMA IF EXISTS ` + identifier(schema) + ` CASCADE;`
	roles, err := s.Exec(ctx, "SELECT 1 FROM pg_roles WHERE rolname = "+literal(role))
	if err != nil {
		return err
	}
	if len(roles) > 0 {
		script += `DROP OWNED BY ` + identifier(role) + ` CASCADE; DROP ROLE ` + identifier(role)
	}
	_, err = s.Exec(ctx, script)
	return err
}

func (s *Server) dropSlots(ctx context.Context, schema string) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	slots := " FROM pg_replication_slots WHERE slot_name LIKE " + literal(`dbos\_%\_`+strings.ReplaceAll(schema, "_", `\_`))
	for {
		_, err := s.Exec(ctx, "SELECT pg_terminate_backend(active_pid)"+slots+" AND active; SELECT pg_drop_replication_slot(slot_name)"+slots)
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != objectInUse && e.Code != undefinedObject {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return err
		}
	}
}

const (
	objectInUse     = "55006"
	undefinedObject = "42704"
)

func identifier(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func literal(text string) string    { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }
