package dbmstest

import (
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

var placeholder = regexp.MustCompile(`\$([0-9]+)`)

// Prepare fails the test unless the engine takes every query of a .sql source
// text: those of a service, after the migrations of its tables and of those
// it reads. The queries are compiled, not run.
func Prepare(t *testing.T, e Engine, source string, migrations ...dbms.Migrations) {
	t.Helper()
	d := openAsync(t, e)
	for _, m := range migrations {
		d.migrate(m)
	}
	queries, err := dbms.ParseQueries(source)
	if err != nil {
		t.Fatal(err)
	}
	if len(queries) == 0 {
		t.Error("the source has no queries")
	}
	for name, q := range queries {
		text := q.Text(e.Name)
		if text == "" {
			continue // of another engine only
		}
		d.update(func(tx dbms.Tx) error {
			if err := explain(tx, e, text); err != nil {
				t.Errorf("query %s: %v", name, err)
			}
			return nil
		})
	}
}

// explain compiles a statement. Its arguments are NULL.
func explain(tx dbms.Tx, e Engine, text string) error {
	args := []any{}
	for _, match := range placeholder.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			return err
		}
		args = append(args, slices.Repeat([]any{nil}, max(0, n-len(args)))...)
	}
	return each(tx, dbms.System(e.Dialect.Explain+text), func(dbms.Rows) error { return nil }, args...)
}

// examinePrepare: Prepare tells good queries from bad ones, and runs none.
func examinePrepare(t *testing.T, e Engine) {
	migrations := steps("examined", false, "CREATE TABLE t (id bigint PRIMARY KEY NOT NULL, v bigint)")
	Prepare(t, e, `
-- name: read
SELECT id FROM t WHERE id > $1 AND v = $2 OR id = $1;
-- name: write
INSERT INTO t (id, v) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET v = $2 RETURNING id;
-- name: elsewhere engine: another
SELEKT
`, migrations)
	d := openAsync(t, e)
	d.migrate(migrations)
	d.update(func(tx dbms.Tx) error {
		for _, text := range []string{"SELEKT 1", "SELECT nothing FROM t", "DELETE FROM nowhere"} {
			if explain(tx, e, text) == nil {
				t.Errorf("%s is taken for a good query", text)
			}
		}
		return explain(tx, e, "INSERT INTO t VALUES (1, $1)")
	})
	d.want(0, "SELECT count(*) FROM t")
}
