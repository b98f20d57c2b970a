//go:build cgo

package pgwire_test

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/server/pgwire"
)

// psql returns a function that runs the real psql with some commands. Without
// psql on the machine the test is skipped, or fails where everything is required.
func psql(t *testing.T, e *pgwire.Endpoint) func(commands ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("psql")
	if err != nil {
		const hint = "psql is not installed (Debian: apt-get install postgresql-client)"
		if os.Getenv("DBOS_TEST_REQUIRE") != "" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	host, port, err := net.SplitHostPort(e.Addr())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return func(commands ...string) (string, error) {
		args := []string{"-X", "-h", host, "-p", port, "-U", "ada", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "shop"}
		for _, c := range commands {
			args = append(args, "-c", c)
		}
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PGOPTIONS=", "HOME="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
}

// TestPsql runs psql's own commands, whose queries of the catalogs are not the same
// in each version of it.
func TestPsql(t *testing.T) {
	ask := psql(t, serve(t, newShop(t)))
	for _, tt := range []struct {
		command string
		want    []string // regular expressions
	}{
		{`\d`, []string{`main +\| odd name +\| table +\| ada`, `main +\| orders +\| table`, `\(2 rows\)`}},
		{`\dt`, []string{`main +\| orders +\| table`, `\(2 rows\)`}},
		{`\dt history.*`, []string{`history +\| orders +\| table`, `\(1 row\)`}},
		{`\dt *.or*`, []string{`history +\| orders`, `main +\| orders`, `\(2 rows\)`}},
		{`\dt+`, []string{`orders`, `0 bytes`}},
		{`\d orders`, []string{`Table "main.orders"`, `id +\| bigint +\| +\| not null`, `price +\| numeric\(10,2\)`, `placed +\| timestamp without time zone`,
			`note +\| bytea`, `weight +\| double precision`, `total +\| numeric +\|`, `paid +\| boolean`}},
		{`\d+ orders`, []string{`Table "main.orders"`, `item +\| text`}},
		{`\d "odd name"`, []string{`Table "main.odd name"`, `a "b" +\| text`}},
		{`\d history.orders`, []string{`Table "history.orders"`, `dbos_end_lsn +\| bigint`}},
		{`\d prov.calls`, []string{`at +\| timestamp with time zone`}},
		{`\d nosuch`, []string{`Did not find any relation named "nosuch"`}},
		{`\dn`, []string{`history`, `main`, `prov`, `\(3 rows\)`}},
		{`\dn+`, []string{`history`}},
		{`\l`, []string{`shop +\| ada +\| UTF8`}},
		{`\du`, []string{`ada`}},
		{`\dv`, []string{`Did not find any relations`}},
		{`\di`, []string{`Did not find any relations`}},
		{`\df`, []string{`\(0 rows\)`}},
		{`\dT`, []string{`\(0 rows\)`}},
		{`\dp`, []string{`orders`}},
		{`\dx`, []string{`\(0 rows\)`}},
		{`\db`, []string{`pg_default`}},
		{`\dD`, []string{`\(0 rows\)`}},
		{`\conninfo`, []string{`shop`, `ada`}},
		{`\encoding`, []string{`UTF8`}},
		{`SELECT id, item, price FROM orders ORDER BY id`, []string{` +1 \| item 1 \| +1.99`, ` +1000 \| +\| `, `\(3 rows\)`}},
		{`SELECT 1; SELECT 2 AS two`, []string{`two`, `2`}},
		{`EXPLAIN SELECT 1`, []string{`EXPLAIN|DUMMY|PROJECTION`}},
		{`SHOW TABLES`, []string{`orders`}},
	} {
		out, err := ask(tt.command)
		if err != nil && !strings.Contains(tt.command, "nosuch") {
			t.Errorf("%s: %v", tt.command, err)
		}
		for _, want := range tt.want {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%s: nothing like %q in\n%s", tt.command, want, out)
			}
		}
	}
}

func TestPsqlCopy(t *testing.T) {
	ask := psql(t, serve(t, newShop(t)))
	file := filepath.Join(t.TempDir(), "orders.csv")
	out, err := ask(`\copy (SELECT id, item FROM orders ORDER BY id) TO '` + file + `' WITH (FORMAT csv, HEADER)`)
	if err != nil || out != "COPY 3\n" {
		t.Fatalf("%s (%v)", out, err)
	}
	got, err := os.ReadFile(file)
	if want := "id,item\n1,item 1\n2,item 2\n1000,\n"; err != nil || string(got) != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
	if out, err := ask(`\copy orders FROM '` + file + `' CSV HEADER`); err == nil || !strings.Contains(out, "only reads") {
		t.Errorf("rows were copied in: %s (%v)", out, err)
	}
}

func TestPsqlSession(t *testing.T) {
	ask := psql(t, serve(t, newShop(t)))
	out, err := ask(`SET dbos.at = '16 minutes ago'`, `SELECT count(*) AS orders_then FROM orders`, `SHOW dbos.at`)
	if err != nil || !regexp.MustCompile(`(?s)orders_then.* 1\n.*16 minutes ago \(LSN 42\)`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
	// With FETCH_COUNT psql uses a cursor.
	out, err = ask(`\set FETCH_COUNT 2`, `SELECT i FROM range(5) r(i) ORDER BY i`)
	if err != nil || strings.Count(out, "\n") < 7 || !strings.Contains(out, "4\n") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = ask("SELECT item\nFROM orders\nWHERE nosuch = 1")
	if err == nil || !strings.Contains(out, "LINE 3: WHERE nosuch = 1\n              ^") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = ask("DELETE FROM orders")
	if err == nil || !strings.Contains(out, "HINT:") {
		t.Errorf("%v\n%s", err, out)
	}
}
