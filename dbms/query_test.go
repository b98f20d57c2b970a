package dbms_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"pgregory.net/rapid"
)

func TestParseQueries(t *testing.T) {
	queries, err := dbms.ParseQueries(`
-- These belong to the file;
-- name  : is no line of a name

-- name: message_insert
-- A comment of the statement.
INSERT INTO message (a)
VALUES ($1);

-- name:   one   engine:  postgres
SELECT 1;
-- name: one
SELECT ';' -- two
`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, engine, want string }{
		{"message_insert", "sqlite", "-- A comment of the statement.\nINSERT INTO message (a)\nVALUES ($1)"},
		{"one", "postgres", "SELECT 1"},
		{"one", "sqlite", "SELECT ';' -- two"},
		{"one", "", "SELECT ';' -- two"},
	} {
		q := queries[c.name]
		if q == nil || q.Name != c.name || q.Application || q.Text(c.engine) != c.want {
			t.Errorf("query %s on engine %q: %+v, text %q, want %q", c.name, c.engine, q, q.Text(c.engine), c.want)
		}
	}
	if len(queries) != 2 {
		t.Errorf("%d queries, want 2", len(queries))
	}
}

func TestParseQueriesRefuses(t *testing.T) {
	for _, source := range []string{
		"-- name: a\n", "-- name: a\n-- name: b\nSELECT 1", "-- name: a\n;\n", "-- name:\nSELECT 1", "-- name: engine: sqlite\nSELECT 1",
		"-- name: a\nSELECT 1\n-- name: a\nSELECT 2", "-- name: a engine: x\nSELECT 1\n-- name: a engine: x\nSELECT 2",
	} {
		queries, err := dbms.ParseQueries(source)
		if !errors.Is(err, abi.Invalid) {
			t.Errorf("ParseQueries(%q) = %v, %v; want an error of kind Invalid", source, queries, err)
		}
	}
}

// TestParseQueriesModel writes random queries as a source text and parses it.
func TestParseQueriesModel(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z_0-9]{0,8}`)
	engine := rapid.SampledFrom([]string{"", "sqlite", "postgres"})
	line := rapid.StringMatching(`[A-Za-z$1-9 ,()'"*=-]{0,12}[A-Z1-9)]`)
	rapid.Check(t, func(t *rapid.T) {
		want := map[string]map[string]string{}
		var source strings.Builder
		source.WriteString(rapid.SampledFrom([]string{"", "-- A file.\n\n", "SELECT 'not a query';\n"}).Draw(t, "head"))
		for range rapid.IntRange(0, 8).Draw(t, "queries") {
			n, e := name.Draw(t, "name"), engine.Draw(t, "engine")
			if _, dup := want[n][e]; dup {
				continue
			}
			text := strings.TrimSpace(strings.Join(rapid.SliceOfN(line, 1, 4).Draw(t, "lines"), "\n"))
			if want[n] == nil {
				want[n] = map[string]string{}
			}
			want[n][e] = text
			fmt.Fprintf(&source, "-- name: %s", n)
			if e != "" {
				fmt.Fprintf(&source, " engine: %s", e)
			}
			fmt.Fprintf(&source, "\n%s%s\n\n", text, rapid.SampledFrom([]string{"", ";", ";\n"}).Draw(t, "end"))
		}
		got, err := dbms.ParseQueries(source.String())
		if err != nil {
			t.Fatalf("%v in\n%s", err, source.String())
		}
		if len(got) != len(want) {
			t.Fatalf("%d queries, want %d in\n%s", len(got), len(want), source.String())
		}
		for n, texts := range want {
			for _, e := range []string{"", "sqlite", "postgres"} {
				text, ok := texts[e]
				if !ok {
					text = texts[""]
				}
				if got[n] == nil || got[n].Text(e) != text {
					t.Fatalf("query %s on engine %q: %v, want %q", n, e, got[n], text)
				}
			}
		}
	})
}

func FuzzParseQueries(f *testing.F) {
	f.Add("-- name: a\nSELECT 1;\n-- name: a engine: b\nSELECT 2")
	f.Add("-- name:\n")
	f.Add(";-- name: engine:\r\n\x00")
	f.Fuzz(func(t *testing.T, source string) {
		queries, err := dbms.ParseQueries(source)
		if err != nil {
			if !errors.Is(err, abi.Invalid) {
				t.Errorf("error of kind %v: %v", abi.KindOf(err), err)
			}
			return
		}
		for name, q := range queries {
			if name == "" || q.Name != name || name != strings.TrimSpace(name) {
				t.Errorf("query %q is called %q", name, q.Name)
			}
			if !strings.Contains(source, q.Text("")) {
				t.Errorf("query %q has text %q, which the source does not have", name, q.Text(""))
			}
		}
	})
}

func TestBind(t *testing.T) {
	var queries struct{ MessageInsert, One *dbms.Query }
	const source = "-- name: message_insert\nINSERT INTO m VALUES (1);\n-- name: one\nSELECT 1;\n"
	if err := dbms.Bind(&queries, source); err != nil {
		t.Fatal(err)
	}
	if queries.MessageInsert.Name != "message_insert" || queries.One.Text("sqlite") != "SELECT 1" {
		t.Errorf("bound %+v and %+v", queries.MessageInsert, queries.One)
	}
	var one struct{ One *dbms.Query }
	for what, err := range map[string]error{
		"a query without a field": dbms.Bind(&one, source),
		"a field without a query": dbms.Bind(&queries, "-- name: one\nSELECT 1"),
		"a bad source":            dbms.Bind(&one, "-- name: one\n"),
	} {
		if !errors.Is(err, abi.Invalid) {
			t.Errorf("Bind with %s: %v, want an error of kind Invalid", what, err)
		}
	}
}

func TestQueryRights(t *testing.T) {
	if q := dbms.SQL("SELECT 1"); !q.Application || q.Text("any") != "SELECT 1" {
		t.Errorf("SQL gives %+v", q)
	}
	if q := dbms.System("SELECT 1"); q.Application || q.Name != dbms.SystemName || q.Text("any") != "SELECT 1" {
		t.Errorf("System gives %+v", q)
	}
}
