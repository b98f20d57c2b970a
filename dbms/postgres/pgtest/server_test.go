package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// These make the test binary be a process that starts a server and is killed,
// and one that uses its parent's.
const (
	victimEnv = "DBOS_PGTEST_VICTIM"
	childEnv  = "DBOS_PGTEST_CHILD"
)

func TestMain(m *testing.M) {
	victim, child := os.Getenv(victimEnv) != "", os.Getenv(childEnv) != ""
	if !victim && !child {
		os.Exit(m.Run())
	}
	s, err := pgtest.Shared()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.Admin())
	if victim {
		select {}
	}
}

// start starts a server for one test.
func start(t *testing.T, options ...pgtest.Option) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(options...)
	pgtest.Check(t, err)
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// want fails unless the query's one value is the text.
func want(t *testing.T, s *pgtest.Server, text, sql string) {
	t.Helper()
	rows, err := s.Exec(t.Context(), sql)
	if err != nil || len(rows) != 1 || rows[0][0] != text {
		t.Fatalf("%s gives %v, error %v; want %s\n%s", sql, rows, err, text, s.Log())
	}
}

func exec1(t *testing.T, s *pgtest.Server, sql string) {
	t.Helper()
	if _, err := s.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestSettings(t *testing.T) {
	s := pgtest.Need(t)
	want(t, s, "logical", "SHOW wal_level")
	if again := pgtest.Need(t); again != s {
		t.Error("two shared servers in one process")
	}
	other := start(t, pgtest.Set("wal_level", "replica"), pgtest.Durable(), pgtest.Loopback())
	want(t, other, "replica", "SHOW wal_level")
	want(t, other, "on", "SHOW fsync")
	if s.Addr() != "" || other.Addr() == "" {
		t.Errorf("addresses %q and %q, want only the second server to have one", s.Addr(), other.Addr())
	}
	u, err := url.Parse(other.Via([]string{other.Addr(), other.Addr()}, "s", "dbos_history=triggers"))
	if err != nil || strings.Count(u.Host, ":") != 2 || u.Query().Get("dbos_schema") != "s" || u.Query().Get("dbos_history") != "triggers" {
		t.Errorf("URL of two addresses: %v, %v", u, err)
	}
}

func TestKilledServerRecovers(t *testing.T) {
	s := start(t)
	exec1(t, s, "CREATE TABLE t AS SELECT 1 AS v")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a killed server answers")
	}
	for range 2 { // what is down, and what is up
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		want(t, s, "1", "SELECT v FROM t")
	}
}

func TestStandbyHasEverything(t *testing.T) {
	s := start(t, pgtest.Loopback())
	standby, err := s.Standby()
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Stop()
	exec1(t, s, "CREATE TABLE t AS SELECT 1 AS v")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	want(t, standby, "1", "SELECT v FROM t")
	exec1(t, standby, "INSERT INTO t VALUES (2)") // waits for nobody
}

func TestDropLeavesNothing(t *testing.T) {
	s := pgtest.Need(t)
	const name = "drop_leaves_nothing"
	make := `CREATE SCHEMA ` + name + `; CREATE ROLE ` + name + `_app; CREATE TABLE ` + name + `.t (v bigint);
		ALTER TABLE ` + name + `.t OWNER TO ` + name + `_app; CREATE PUBLICATION dbos_` + name + ` FOR TABLE ` + name + `.t;
		CREATE PUBLICATION dbos_` + name + `_log;`
	for range 2 {
		exec1(t, s, make)
		exec1(t, s, "SELECT pg_create_logical_replication_slot('dbos_5_"+name+"', 'pgoutput')")
		if err := s.Drop(name); err != nil {
			t.Fatal(err)
		}
	}
	want(t, s, "0", "SELECT count(*) FROM pg_replication_slots")
	want(t, s, "0", "SELECT count(*) FROM pg_publication")
	want(t, s, "0", "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'drop\\_%'")
	if err := s.Drop("never_there"); err != nil {
		t.Errorf("dropping what is not there: %v", err)
	}
}

// TestServerDiesWithItsProcess kills a process that has started a server.
func TestServerDiesWithItsProcess(t *testing.T) {
	pgtest.Need(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(self)
	victim.Env = append(os.Environ(), victimEnv+"=1", "DBOS_TEST_POSTGRES=")
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the process said %q, %v", line, err)
	}
	base, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	dir := base.Query().Get("host")
	if _, err := os.Stat(dir); err != nil {
		t.Fatal(err)
	}
	victim.Process.Kill()
	victim.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("%s is there after its process has died", dir)
		}
	}
}

// TestSharedIsNotHarmed: neither a server that this process shares nor one of
// the developer.
func TestSharedIsNotHarmed(t *testing.T) {
	s := pgtest.Need(t)
	for _, err := range []error{s.Kill(), s.Restart(), s.Promote()} {
		if abi.KindOf(err) != abi.Unsupported || abi.HintOf(err) == "" {
			t.Errorf("harming a shared server: %v", err)
		}
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	exec1(t, s, "SELECT 1")
}

// TestServerOfAnotherProcess: a child uses its parent's server.
func TestServerOfAnotherProcess(t *testing.T) {
	s := pgtest.Need(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.Output()
	if err != nil || string(out) != s.Admin()+"\n" {
		t.Errorf("the child uses %s, error %v; want %s", out, err, s.Admin())
	}
}

// TestPooler: the URL names the pooler, and the server for what does not go
// through it.
func TestPooler(t *testing.T) {
	p := pgtest.NeedPooler(t)
	u, err := url.Parse(p.URL("s", "dbos_history=triggers"))
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("dbos_pooler") != "transaction" || q.Get("dbos_direct") != pgtest.Need(t).Admin() || q.Get("dbos_schema") != "s" {
		t.Errorf("URL %s", u)
	}
}
