package postgres

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

func server(t *testing.T, options ...pgtest.Option) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(options...)
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	})
	return s
}

// A warnings collects what history warns of.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) warn(message string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, message+" "+fmt.Sprint(args...))
}

func (w *warnings) have(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Contains(strings.Join(w.said, "\n"), text)
}

// TestNotLogical: a server that keeps no log for readers says which setting
// lacks, and by default triggers capture changes.
func TestNotLogical(t *testing.T) {
	s := server(t, pgtest.Set("wal_level", "replica"))
	_, err := Open(t.Context(), s.URL("strict", "dbos_history=logical"), dbms.Options{})
	if abi.KindOf(err) != abi.Unsupported || !strings.Contains(fmt.Sprint(err), "wal_level") || !strings.Contains(abi.HintOf(err), "wal_level = 'logical'") ||
		!strings.Contains(abi.HintOf(err), "restart") {
		t.Errorf("logical history at wal_level=replica: %v, hint %q", err, abi.HintOf(err))
	}
	db := node(t, s.URL("lax"), dbms.Options{})
	after := do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY)")
	do(t, db, "INSERT INTO app VALUES (1)")
	if commits := readAllOf(t, db, after, 10); len(commits) != 1 || len(commits[0].Changes) != 1 {
		t.Errorf("captured by triggers: %+v", commits)
	}
}

// TestNoReplicationRole: so does a role that may not replicate.
func TestNoReplicationRole(t *testing.T) {
	s := pgtest.Need(t)
	schema := pgtest.Schema(t)
	role := schema + "_login"
	t.Cleanup(func() {
		if _, err := s.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			t.Logf("drop %s: %v", role, err)
		}
	})
	if _, err := s.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN CREATEROLE; GRANT CREATE ON DATABASE postgres TO "+role); err != nil {
		t.Fatal(err)
	}
	as := func(parameters ...string) string {
		return strings.Replace(s.URL(schema, parameters...), "postgres@", role+"@", 1)
	}
	_, err := Open(t.Context(), as("dbos_history=logical"), dbms.Options{})
	if abi.KindOf(err) != abi.Denied || !strings.Contains(abi.HintOf(err), `ALTER ROLE "`+role+`" REPLICATION`) {
		t.Errorf("logical history of a role without REPLICATION: %v, hint %q", err, abi.HintOf(err))
	}
	db, err := Open(t.Context(), as(), dbms.Options{})
	if err != nil {
		t.Fatal(err)
	}
	do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY)")
	after := do(t, db, "INSERT INTO app VALUES (1)")
	do(t, db, "UPDATE app SET id = 2")
	if commits := readAllOf(t, db, after, 10); len(commits) != 1 || len(commits[0].Changes) != 2 {
		t.Errorf("captured by triggers: %+v", commits)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// With the attribute, and asked to, history is read from the log.
	if _, err := s.Exec(t.Context(), "ALTER ROLE "+role+" REPLICATION"); err != nil {
		t.Fatal(err)
	}
	db = node(t, as("dbos_history=logical"), dbms.Options{})
	oldest := db.Status().OldestLSN
	do(t, db, "INSERT INTO app VALUES (3)", "DELETE FROM app WHERE id = 2")
	if commits := readAllOf(t, db, oldest, 10); len(commits) != 1 || len(commits[0].Changes) != 2 {
		t.Errorf("read from the log: %+v", commits)
	}
}

// write makes the server's log grow.
func write(t *testing.T, s *pgtest.Server, megabytes int) {
	t.Helper()
	_, err := s.Exec(t.Context(), fmt.Sprintf(
		"SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1000000))) FROM generate_series(1, %d); SELECT pg_switch_wal()", megabytes))
	if err == nil {
		_, err = s.Exec(t.Context(), "CHECKPOINT")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLogRemoved: the server has a limit of its own, and removes the log.
func TestLogRemoved(t *testing.T) {
	s := server(t, pgtest.Set("max_slot_wal_keep_size", "16MB"), pgtest.Set("max_wal_size", "32MB"), pgtest.Set("min_wal_size", "32MB"))
	db := node(t, s.URL("small", "dbos_history=logical"), dbms.Options{})
	var w warnings
	db.history.warn = w.warn
	do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY)")
	before := do(t, db, "INSERT INTO app VALUES (1)")
	last := do(t, db, "INSERT INTO app VALUES (2)")
	for range 4 {
		write(t, s, 20)
	}
	_, err := db.Changes(t.Context(), before, 10)
	if abi.KindOf(err) != abi.Trimmed {
		t.Errorf("changes after the log was removed: %v, want Trimmed", err)
	}
	if !w.have("max_slot_wal_keep_size") {
		t.Errorf("warnings: %q, want one that names max_slot_wal_keep_size", w.said)
	}
	oldest := db.Status().OldestLSN
	if oldest < last {
		t.Errorf("history begins at %d, before commit %d, which is lost", oldest, last)
	}
	do(t, db, "UPDATE app SET id = 3 WHERE id = 1")
	if commits := readAllOf(t, db, oldest, 10); len(commits) != 1 || len(commits[0].Changes) != 2 {
		t.Errorf("after the gap: %+v", commits)
	}
}

// TestLogLimit: old history is given up before the server's log fills the
// disk, after a warning.
func TestLogLimit(t *testing.T) {
	s := server(t)
	db := node(t, s.URL("limited", "dbos_history=logical"), dbms.Options{Retention: -1})
	var w warnings
	db.history.warn = w.warn
	db.history.walLimit = 40 << 20
	do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY)")
	first := do(t, db, "INSERT INTO app VALUES (1)")
	look := func(warned bool) bool {
		t.Helper()
		warned, err := db.history.watchLog(t.Context(), warned)
		if err != nil {
			t.Fatal(err)
		}
		return warned
	}
	if look(false) {
		t.Errorf("warned of a small log: %q", w.said)
	}
	write(t, s, 25)
	if !look(false) || !w.have("write-ahead log") || db.Status().OldestLSN != 0 {
		t.Errorf("with half of the limit in use: warnings %q, oldest LSN %d", w.said, db.Status().OldestLSN)
	}
	recent := do(t, db, "INSERT INTO app VALUES (2)")
	write(t, s, 13)
	look(true)
	if oldest := db.Status().OldestLSN; oldest < first || oldest >= recent || !w.have("given up") {
		t.Errorf("beyond the limit: oldest LSN %d, want %d to %d; warnings %q", oldest, first, recent-1, w.said)
	}
	kept, err := s.Exec(t.Context(), "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) < 30000000 FROM pg_replication_slots")
	if err != nil || kept[0][0] != "t" {
		t.Errorf("the slot was not moved: %v, %v", kept, err)
	}
	if commits := readAllOf(t, db, db.Status().OldestLSN, 10); len(commits) == 0 || commits[len(commits)-1].LSN != recent {
		t.Errorf("what is left of history: %+v", commits)
	}
	write(t, s, 60) // by others: the system itself is idle
	look(true)
	if oldest := db.Status().OldestLSN; oldest < recent {
		t.Errorf("beyond the limit again: oldest LSN %d, want at least %d", oldest, recent)
	}
	do(t, db, "DELETE FROM app WHERE id = 1")
	if commits := readAllOf(t, db, db.Status().OldestLSN, 10); len(commits) != 1 || len(commits[0].Changes) != 1 {
		t.Errorf("after all history was given up: %+v", commits)
	}
}
