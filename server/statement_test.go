package server

import "testing"

func TestReturnsRows(t *testing.T) {
	for _, sql := range []string{
		"select 1", " \t\r\n;;  Select 1", "(select 1)", "values (1)", "TABLE x", "explain delete from t", "pragma table_info(t)", "show all",
		"-- delete\nselect 1", "/* delete */ select 1", "", "'delete'", "$1",
		"insert into t values (1) returning id", "delete from t returning *", "UPDATE t SET a = 1 ReTurning a",
		"with a as (delete from t returning *) select * from a", `with "insert" as (select 1), b(x) as (values (1)) select 1`,
		"with a as (select 1) insert into t select * from a returning id",
		"insert into t values ($$ returning $x$ $$, $1) returning 1",
	} {
		if !returnsRows(sql) {
			t.Errorf("%q is said to return no rows", sql)
		}
	}
	for _, sql := range []string{
		"insert into t values (1)", "insert into t values ('returning')", `update "returning" set a = 1`, "delete from t -- returning",
		"delete from t /* returning */ where 1", "replace into t values (1)", "delete from t where a in (select returning from u)",
		"with a as (select 1) insert into t select * from a", "with a as materialized (select 1) delete from t",
		"with recursive c(n) as (select 1 union all select n + 1 from c) update t set a = 1",
		"insert into t values ($$ ' $$, $tag$ returning $$ $tag$, $1)", "insert into t values ('it''s returning')",
		"create table t (a)", "-- a comment\n--\nDROP TABLE t", "truncate t", "merge into t using u on true when matched then delete",
		"update `returning` set a = 1",
	} {
		if returnsRows(sql) {
			t.Errorf("%q is said to return rows", sql)
		}
	}
}

func TestWrites(t *testing.T) {
	for sql, want := range map[string]bool{
		"delete from t": true, "/* */ Insert into t values (1)": true, "with a as (select 1) update t set b = 1": true, "drop table t": true,
		"with a as (delete from t returning *) select 1": false, "select 'delete'": false, "from t": false, "with a as (select 1) from a": false,
		"": false, "describe t": false, "explain delete from t": false,
	} {
		if got := writes(sql); got != want {
			t.Errorf("%q: %v", sql, got)
		}
	}
}

func FuzzReturnsRows(f *testing.F) {
	f.Add("/**/--\n;select")
	f.Add("/*/*/")
	f.Add("with (a) insert $x$ returning $")
	f.Fuzz(func(t *testing.T, sql string) {
		words := &lexer{rest: sql}
		for n := 0; words.next() != ""; n++ {
			if n > len(sql) {
				t.Fatalf("%q has no end", sql)
			}
		}
		returnsRows(sql)
		writes(sql)
	})
}
