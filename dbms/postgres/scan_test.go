package postgres

import (
	"slices"
	"strings"
	"testing"
)

func TestStatements(t *testing.T) {
	for script, want := range map[string][]string{
		"": nil, " ;; -- nothing\n": nil, "/* a; /* b; */ c; */": nil,
		"SELECT 1":                             {"SELECT 1"},
		"SELECT 1; SELECT 2;":                  {"SELECT 1", " SELECT 2"},
		"SELECT ';'; SELECT E'\\';'; SELECT 3": {"SELECT ';'", " SELECT E'\\';'", " SELECT 3"},
		`SELECT ";"";"; SELECT 'it''s;'`:       {`SELECT ";"";"`, " SELECT 'it''s;'"},
		"SELECT $$;$$; SELECT $a$;$$;$a$":      {"SELECT $$;$$", " SELECT $a$;$$;$a$"},
		"SELECT 1 -- ;\n; SELECT 2":            {"SELECT 1 -- ;\n", " SELECT 2"},
		"SELECT 'open; SELECT 2":               {"SELECT 'open; SELECT 2"},
		"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; SELECT 2": {
			"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END", " SELECT 2"},
	} {
		if got := statements(script); !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", script, got, want)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	for sql, want := range map[string]int{
		"SELECT 1": 0, "SELECT $1, $12": 12, "SELECT '$3', \"$4\", $tag$ $5 $tag$ -- $6\n /* $7 */": 0,
		"SELECT a$1": 0, "SELECT $1$2": 2,
	} {
		if got := placeholders(sql); got != want {
			t.Errorf("%q has %d placeholders, want %d", sql, got, want)
		}
	}
}

func TestFirstWord(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1": "select", " -- no\n/* no */ Insert INTO t": "insert", "((SELECT 1))": "select", "1": "", "": "",
	} {
		if got := firstWord(sql); got != want {
			t.Errorf("%q begins with %q, want %q", sql, got, want)
		}
	}
}

func TestDefines(t *testing.T) {
	for sql, want := range map[string]bool{
		"CREATE TABLE t (v int)": true, "DO $$ BEGIN END $$": true, "ALTER TABLE t ADD c int": true, "TRUNCATE t": true,
		"SELECT 1": false, "SELECT 'into'": false, "SELECT * INTO u FROM t": true, "WITH x AS (SELECT 1) SELECT * INTO u FROM x": true,
		"INSERT INTO t VALUES (1)": false, "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x": false,
		"UPDATE t SET v = 1": false, "EXPLAIN SELECT 1": false,
	} {
		if got := defines(firstWord(sql), sql); got != want {
			t.Errorf("%q defines something: %v, want %v", sql, got, want)
		}
	}
}

func TestWithCalls(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                          "WITH dbos_call AS (…) SELECT 1",
		"WITH a AS (SELECT 1) SELECT 2":     "WITH dbos_call AS (…), a AS (SELECT 1) SELECT 2",
		"-- why\nwith recursive a AS (b) c": "WITH RECURSIVE dbos_call AS (…), a AS (b) c",
	} {
		got := withCalls(text, 2)
		begin, end := strings.Index(got, "INSERT INTO dbos_transaction"), strings.Index(got, "nonce))")
		if begin < 0 || end < 0 {
			t.Fatalf("%q does not record its calls: %s", text, got)
		}
		if got = got[:begin] + "…" + got[end+len("nonce)"):]; got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// FuzzScan: whatever the text, the pieces are cut at tokens and lose nothing.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{"SELECT 1; SELECT $1", "$$;$$;$a", "E'\\", "/*/**/", "\"", "begin atomic case end;", "(((", "\xff;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		last := -1
		scan(sql, func(tok token) bool {
			if tok.at <= last || tok.at >= len(sql) {
				t.Fatalf("token at %d after %d of %d", tok.at, last, len(sql))
			}
			last = tok.at
			return true
		})
		from := 0
		for _, piece := range statements(sql) {
			at := strings.Index(sql[from:], piece)
			if at < 0 || piece == "" {
				t.Fatalf("piece %q is not in the rest of %q", piece, sql)
			}
			from += at + len(piece)
		}
		_, _ = forbidden(firstWord(sql), sql)
		_ = placeholders(sql) + len(withCalls(sql, 1))
	})
}
