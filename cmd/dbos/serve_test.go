package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// needPsql skips a test where psql is missing, or fails it where everything is
// required.
func needPsql(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("psql"); err != nil {
		const hint = "psql is not installed (Debian: apt-get install postgresql-client)"
		if os.Getenv("DBOS_TEST_REQUIRE") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
}

// serve starts dbos serve and returns its port, and a function that ends it as
// Ctrl-C does.
func (p place) serve(args ...string) (port string, stop func()) {
	p.t.Helper()
	cmd := p.command("dbos", append([]string{"serve", "--sql", "127.0.0.1:0"}, args...)...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := regexp.MustCompile(`127\.0\.0\.1:(\d+)/`).FindStringSubmatch(lines.Text()); m != nil {
			return m[1], func() {
				p.t.Helper()
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					p.t.Fatal(err)
				}
				if err := cmd.Wait(); err != nil {
					p.t.Errorf("dbos serve: %v\n%s", err, errOut.String())
				}
			}
		}
	}
	p.t.Fatalf("dbos serve ended: %v\n%s", cmd.Wait(), errOut.String())
	return "", nil
}

// psql runs a command and returns what it prints.
func (p place) psql(port string, commands ...string) (string, error) {
	args := []string{"-X", "-A", "-t", "-h", "127.0.0.1", "-p", port, "-U", "someone", "shop"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	cmd := p.command("psql", args...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestServe asks by psql: first a program that has the directory open, through
// its door, and then the directory itself.
func TestServe(t *testing.T) {
	needWarehouse(t)
	needPsql(t)
	p := newPlace(t)
	kill := p.shop()
	p.dbos("sql", "--write", "insert into stock values ('hat', 3)")
	lsn := strings.Trim(p.dbos("sql", "--engine", "--json", "select max(lsn) as l from dbos_transaction"), "{}\"l:\n")
	p.dbos("sql", "--write", "update stock set n = 4")
	check := func(port string) {
		t.Helper()
		for _, tt := range []struct{ sql, want string }{
			{"select item, n from stock", "hat|4\n"},
			{"\\dt stock", "main|stock|table|someone\n"},
			{"select count(*) > 0 from prov.calls where procedure = 'sql.exec'", "t\n"},
			{"select dbos_op from history.stock order by 1", "insert\nupdate\n"},
		} {
			if out, err := p.psql(port, tt.sql); err != nil || out != tt.want {
				t.Errorf("%s: %v\n%s", tt.sql, err, out)
			}
		}
		at := "set dbos.at = 'LSN " + lsn + "'"
		if out, err := p.psql(port, at, "show dbos.at", "select n from stock"); err != nil || out != "SET\nLSN "+lsn+" (LSN "+lsn+")\n3\n" {
			t.Errorf("%s: %v\n%s", at, err, out)
		}
		if out, err := p.psql(port, "delete from stock"); err == nil || !strings.Contains(out, "only reads") {
			t.Errorf("a deletion: %v\n%s", err, out)
		}
		if out, err := p.psql(port, "select * from read_text('/etc/passwd')"); err == nil {
			t.Errorf("a file was read: %s", out)
		}
	}
	port, stop := p.serve()
	check(port)
	stop()
	kill()
	port, stop = p.serve()
	check(port)
	// Other commands go through the server's door.
	if got := p.dbos("sql", "--json", "select n from stock"); got != "{\"n\":4}\n" {
		t.Errorf("beside the server: %s", got)
	}
	stop()
	for _, args := range [][]string{{"serve", "--sql", "0.0.0.0:0"}, {"serve", "--sql", "nowhere"}, {"serve", "--sql-password-file", "nosuch"}} {
		out, err := p.command("dbos", args...).CombinedOutput()
		if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.ExitCode() == 0 || !strings.Contains(string(out), "hint:") {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
}

// TestServeDatabase serves a PostgreSQL database, which has no owner.
func TestServeDatabase(t *testing.T) {
	needWarehouse(t)
	needPsql(t)
	url := pgtest.Need(t).URL(pgtest.Schema(t))
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // for the warehouse
	sys, err := dbos.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"create table stock (item text primary key, n bigint)", "insert into stock values ('hat', 3)"} {
		err := sys.Update(t.Context(), "shop", func(tx *dbos.Tx) error {
			_, err := tx.Exec(sql)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := sys.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	port, stop := p.serve("-d", url)
	defer stop()
	out, err := p.psql(port, "select n from stock", "select procedure from prov.calls where lsn = (select dbos_commit from history.stock)", "\\dt stock")
	if want := "3\nshop\nmain|stock|table|someone\n"; err != nil || out != want {
		t.Errorf("got %s (%v), want %s", out, err, want)
	}
}

// TestGuide runs the commands and the statements of docs/guide/sql.md.
func TestGuide(t *testing.T) {
	needWarehouse(t)
	needPsql(t)
	guide, err := os.ReadFile(filepath.FromSlash("../../docs/guide/sql.md"))
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	defer p.shop()()
	p.dbos("sql", "--write", "insert into stock values ('hat', 3)")
	p.dbos("start", "checkout", `{"item":"hat","count":1}`, "--id", "order-42", "--wait")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	shell, statements := blocks(string(guide), "sh"), blocks(string(guide), "sql")
	if len(shell) < 2 || len(statements) < 3 {
		t.Fatalf("the guide has %d sh and %d sql blocks", len(shell), len(statements))
	}
	for _, block := range shell {
		script := strings.ReplaceAll(block, "5433", port)
		script = strings.ReplaceAll(script, "dbos serve &", fmt.Sprintf("dbos serve --sql 127.0.0.1:%s >/dev/null &\ntrap 'kill $!; wait' EXIT\n"+
			"until psql -X -h 127.0.0.1 -p %s -c 'select 1' dbos >/dev/null 2>&1; do kill -0 $!; sleep 0.05; done", port, port))
		cmd := p.command("bash", "-e", "-c", script)
		cmd.Env = append(cmd.Env, "PGDATABASE=dbos", "PGUSER=me")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, script, out)
		}
	}
	for _, block := range statements {
		if out, err := p.command("dbos", "sql", strings.TrimSuffix(strings.TrimSpace(block), ";")).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, block, out)
		}
	}
	if copied, err := os.ReadFile(filepath.Join(p.dir, "calls.csv")); err != nil || !strings.HasPrefix(string(copied), "lsn,time,") {
		t.Errorf("the copied file has %.100q (%v)", copied, err)
	}
}

// blocks returns the texts of a Markdown text's blocks of a language.
func blocks(markdown, language string) []string {
	var list []string
	for _, part := range strings.Split(markdown, "```"+language+"\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		list = append(list, text)
	}
	return list
}

func needWarehouse(t *testing.T) {
	t.Helper()
	switch there, err := hasWarehouse(); {
	case err != nil:
		t.Fatal(err)
	case !there && os.Getenv("DBOS_TEST_REQUIRE") != "":
		t.Fatal("this build has no column store; build with cgo and gcc")
	case !there:
		t.Skip("this build has no column store; build with cgo and gcc")
	}
}
