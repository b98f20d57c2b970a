package dbmstest

// postgresCases are what makes the changes of PostgreSQL's tables difficult to
// follow.
var postgresCases = []Case{
	{"keys move along", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"},
		{"UPDATE t SET id = id - 1", "UPDATE t SET id = -id - 10"},
		{"UPDATE t SET id = id, v = v", "?UPDATE t SET id = 0", "UPDATE t SET id = 7 WHERE v = 'a'", "UPDATE t SET id = 8 WHERE id = 7"},
	}},
	{"keys that change places", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY DEFERRABLE, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"},
		{"UPDATE t SET id = id + 1"}, {"UPDATE t SET id = 6 - id"}, {"UPDATE t SET id = id % 3 + 2", "DELETE FROM t WHERE id = 2"},
	}},
	{"keys that are twice for a moment", [][]string{
		{"~CREATE TABLE t (id bigint PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')"},
		{"INSERT INTO t VALUES (2, 'c')", "DELETE FROM t WHERE v = 'b'", "UPDATE t SET id = 1 WHERE v = 'c'", "UPDATE t SET id = 3 WHERE v = 'a'"},
		{"UPDATE t SET id = 4 - id", "UPDATE t SET v = 'd' WHERE id = 1"},
	}},
	{"constraints that wait for the commit", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, up bigint REFERENCES t DEFERRABLE INITIALLY DEFERRED, u bigint UNIQUE DEFERRABLE INITIALLY DEFERRED)",
			"INSERT INTO t VALUES (1, 2, 1), (2, 1, 2)"},
		{"UPDATE t SET id = 3 WHERE id = 1", "UPDATE t SET up = 3 WHERE id = 2", "UPDATE t SET u = 2", "DELETE FROM t WHERE id = 2", "UPDATE t SET up = 3, u = 1"},
	}},
	{"constraint trigger at the commit", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v bigint)", "CREATE TABLE log (what text)",
			"CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES ('late ' || NEW.id); UPDATE t SET v = v + 1 WHERE id = NEW.id AND v < 3; RETURN NULL; END $$",
			"CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late()"},
		{"INSERT INTO t VALUES (1, 0)", "INSERT INTO t VALUES (2, 2)"},
		{"UPDATE t SET v = 2 WHERE id = 1"},
	}},
	{"key equal by collation only", [][]string{
		{"CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
			"CREATE TABLE t (k text COLLATE any_case PRIMARY KEY, v bigint)", "INSERT INTO t VALUES ('a', 1)", "?INSERT INTO t VALUES ('A', 2)"},
		{"UPDATE t SET k = 'A'"},
		{"INSERT INTO t VALUES ('a', 2) ON CONFLICT (k) DO UPDATE SET k = excluded.k, v = excluded.v"},
		{"DELETE FROM t WHERE k = 'A'"},
	}},
	{"key equal as a number only", [][]string{
		{"CREATE TABLE t (k numeric PRIMARY KEY, v bigint)", "INSERT INTO t VALUES (1.0, 1), (2, 2)"},
		{"UPDATE t SET k = 1.00 WHERE k = 1", "INSERT INTO t VALUES (2.0, 3) ON CONFLICT (k) DO UPDATE SET v = 3"},
		{"DELETE FROM t WHERE k = 1", "INSERT INTO t VALUES (1, 4)"},
	}},
	{"no primary key", [][]string{
		{"CREATE TABLE t (a bigint, b bigint)", "INSERT INTO t VALUES (1, 1), (1, 1), (1, 1), (NULL, NULL)"},
		{"DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1)", "UPDATE t SET b = 2 WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1)"},
		{"UPDATE t SET b = 2", "INSERT INTO t SELECT * FROM t", "UPDATE t SET b = b + 1 WHERE a = 1", "UPDATE t SET a = b"},
		{"DELETE FROM t WHERE a IS NULL", "INSERT INTO t VALUES (5, 5)", "DELETE FROM t WHERE a <> 5", "INSERT INTO t VALUES (6, 6), (6, 6)"},
		{"UPDATE t SET b = 0", "ROLLBACK"}, {"UPDATE t SET b = 9 WHERE a = 6"}, {"DELETE FROM t"}, {"INSERT INTO t VALUES (7, 7)"},
	}},
	{"no primary key, but unique columns", [][]string{
		{"CREATE TABLE t (a bigint UNIQUE, b bigint NOT NULL UNIQUE)", "INSERT INTO t VALUES (1, 1), (2, 2), (NULL, 3), (NULL, 4)"},
		{"UPDATE t SET b = b + 10", "INSERT INTO t VALUES (2, 50) ON CONFLICT (a) DO UPDATE SET a = 3, b = excluded.b", "DELETE FROM t WHERE a IS NULL"},
	}},
	{"cascades", [][]string{
		{"CREATE TABLE p (id bigint PRIMARY KEY)", "CREATE TABLE c (p bigint REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, n bigint)",
			"CREATE TABLE s (id text PRIMARY KEY, p bigint DEFAULT 1 REFERENCES p ON DELETE SET NULL ON UPDATE SET DEFAULT)",
			"INSERT INTO p VALUES (1), (2), (3)", "INSERT INTO c VALUES (1, 1), (2, 2), (2, 3)", "INSERT INTO s VALUES ('a', 2), ('b', 3)"},
		{"UPDATE p SET id = 20 WHERE id = 2"},
		{"DELETE FROM p WHERE id = 20", "DELETE FROM p WHERE id = 3"},
		{"DELETE FROM c", "DROP TABLE c"},
		{"UPDATE s SET p = 1", "?DROP TABLE p", "DROP TABLE p CASCADE"},
		{"UPDATE s SET p = 100"},
	}},
	{"a table that refers to itself", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, up bigint REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO t VALUES (1, 1), (2, 1), (3, 2), (4, 4), (5, 4)"},
		{"UPDATE t SET id = 10 WHERE id = 1", "UPDATE t SET id = id + 100 WHERE id >= 4 AND id < 10"},
		{"DELETE FROM t WHERE id = 10"},
	}},
	{"key that refers to its own row", [][]string{
		{"CREATE TABLE t (a bigint, b bigint, PRIMARY KEY (a, b), UNIQUE (a), FOREIGN KEY (b) REFERENCES t (a) ON UPDATE CASCADE)",
			"INSERT INTO t VALUES (1, 1), (2, 1)"},
		{"UPDATE t SET a = 7 WHERE a = 1"}, {"UPDATE t SET a = a + 1, b = b + 1 WHERE a = 7"},
	}},
	{"triggers that change the row again", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v text, n bigint DEFAULT 0)", "CREATE TABLE log (what bigint)",
			"CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v || '!' WHERE id = NEW.id; RETURN NULL; END $$",
			"CREATE FUNCTION b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; INSERT INTO log VALUES (NEW.n); RETURN NULL; END $$",
			"CREATE FUNCTION c() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM t WHERE id = NEW.id + 1; RETURN NULL; END $$",
			"CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION a()",
			"CREATE TRIGGER b AFTER UPDATE OF v ON t FOR EACH ROW WHEN (NEW.n < 3) EXECUTE FUNCTION b()",
			"CREATE TRIGGER c AFTER UPDATE OF n ON t FOR EACH ROW WHEN (NEW.n = 1) EXECUTE FUNCTION c()"},
		{"INSERT INTO t (id, v) VALUES (2, 'y'), (1, 'x')"},
		{"UPDATE t SET v = 'z'", "INSERT INTO t (id, v) VALUES (1, 'w') ON CONFLICT (id) DO UPDATE SET id = 5"},
	}},
	{"triggers before", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v text)", "CREATE TABLE log (what text)",
			"CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.v); NEW.v := NEW.v || '+'; NEW.id := NEW.id * 2; RETURN NEW; END $$",
			"CREATE FUNCTION b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE log SET what = OLD.v; RETURN CASE WHEN OLD.v = 'keep+' THEN NULL ELSE OLD END; END $$",
			"CREATE FUNCTION c() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN NEW.what = 'no' THEN NULL ELSE NEW END; END $$",
			"CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION a()",
			"CREATE TRIGGER b BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION b()",
			"CREATE TRIGGER c BEFORE INSERT ON log FOR EACH ROW EXECUTE FUNCTION c()"},
		{"INSERT INTO t VALUES (1, 'a'), (2, 'no'), (3, 'keep')", "DELETE FROM t", "INSERT INTO t VALUES (1, 'b')"},
	}},
	{"views that write", [][]string{
		{"CREATE TABLE t (a bigint, b text)", "CREATE VIEW w AS SELECT a FROM t WHERE a > 0",
			"CREATE VIEW o AS SELECT a, b FROM t",
			"CREATE FUNCTION i() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (NEW.a, 'o'); RETURN NEW; END $$",
			"CREATE TRIGGER i INSTEAD OF INSERT ON o FOR EACH ROW EXECUTE FUNCTION i()"},
		{"INSERT INTO w VALUES (1), (2)", "INSERT INTO o VALUES (3, 'x')", "UPDATE w SET a = a + 1", "DELETE FROM w WHERE a = 2", "DROP VIEW w"},
	}},
	{"rules", [][]string{
		{"CREATE TABLE t (a bigint)", "CREATE TABLE log (a bigint)", "~CREATE RULE also AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (NEW.a + 1)"},
		{"INSERT INTO t VALUES (1), (2)"},
	}},
	{"statements that write twice", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v text)", "CREATE TABLE u (id bigint PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"},
		{"WITH gone AS (DELETE FROM t WHERE id < 3 RETURNING *) INSERT INTO u SELECT id + 10, v FROM gone"},
		{"WITH a AS (UPDATE t SET v = 'A' RETURNING id), b AS (INSERT INTO t VALUES (4, 'd') RETURNING id) UPDATE u SET v = (SELECT max(id)::text FROM a)"},
		{"MERGE INTO t USING u ON t.id = u.id - 8 WHEN MATCHED THEN UPDATE SET v = u.v WHEN NOT MATCHED THEN INSERT VALUES (u.id, u.v)",
			"MERGE INTO t USING u ON t.id = u.id WHEN MATCHED AND t.v = 'x' THEN DO NOTHING WHEN MATCHED THEN DELETE"},
	}},
	{"upserts", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, u text UNIQUE, n bigint DEFAULT 0)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')"},
		{"INSERT INTO t VALUES (1, 'x', 5), (3, 'c', 5) ON CONFLICT (id) DO UPDATE SET n = t.n + excluded.n",
			"INSERT INTO t VALUES (9, 'a') ON CONFLICT (u) DO UPDATE SET id = excluded.id", "INSERT INTO t VALUES (9, 'q'), (10, 'b') ON CONFLICT DO NOTHING",
			"INSERT INTO t VALUES (2, 'x') ON CONFLICT (id) DO UPDATE SET n = 1 WHERE t.n > 100",
			"?INSERT INTO t VALUES (20, 'r'), (20, 's') ON CONFLICT (id) DO UPDATE SET n = 1"},
	}},
	{"values out of line", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, a text, b text, n bigint)", "ALTER TABLE t ALTER a SET STORAGE EXTERNAL",
			"INSERT INTO t SELECT i, repeat('large ', 20000), (SELECT string_agg(md5((i * 1000 + j)::text), '') FROM generate_series(1, 500) j), 0 FROM generate_series(1, 3) i"},
		{"UPDATE t SET n = 1"}, {"UPDATE t SET id = id + 10"}, {"UPDATE t SET n = 2, a = a || '!' WHERE id = 11"}, {"UPDATE t SET b = NULL WHERE id = 12"},
		{"INSERT INTO t VALUES (13, 'x', 'x', 0) ON CONFLICT (id) DO UPDATE SET n = 3", "UPDATE t SET n = n + 1"},
		{"DELETE FROM t"},
	}},
	{"values out of line, no primary key", [][]string{
		{"CREATE TABLE t (a text, n bigint)", "ALTER TABLE t ALTER a SET STORAGE EXTERNAL",
			"INSERT INTO t SELECT repeat('large ', 20000), i FROM generate_series(1, 3) i"},
		{"UPDATE t SET n = n + 1"}, {"DELETE FROM t WHERE n = 3", "UPDATE t SET n = 0"},
	}},
	{"a wide row", [][]string{
		{"DO $$ BEGIN EXECUTE 'CREATE TABLE t (id bigint PRIMARY KEY, ' || (SELECT string_agg('c' || i || ' text DEFAULT ''d''', ', ') FROM generate_series(1, 300) i) || ')'; END $$",
			"INSERT INTO t (id) SELECT i FROM generate_series(1, 20) i"},
		{"UPDATE t SET c7 = NULL, c300 = 'x' WHERE id < 5", "UPDATE t SET c1 = c300", "INSERT INTO t (id, c150) VALUES (100, 'y')"},
	}},
	{"many rows", [][]string{
		{"CREATE TABLE t (i bigint, square bigint)", "INSERT INTO t SELECT i, i * i FROM generate_series(1, 500) i"},
		{"UPDATE t SET square = NULL WHERE i % 2 = 0", "DELETE FROM t WHERE i > 400"}, {"UPDATE t SET i = i + 1000 WHERE i < 50"},
	}},
	{"tables from queries", [][]string{
		{"CREATE TABLE s (a integer, b text)", "INSERT INTO s VALUES (1, 'x'), (2, NULL)"},
		{"CREATE TABLE t AS SELECT a + 1 AS a, b, 1.5 AS c FROM s", "UPDATE t SET b = 'y' WHERE a = 2"},
		{"SELECT a, b INTO u FROM s", "DELETE FROM u WHERE a = 1", "CREATE TABLE v AS TABLE s WITH NO DATA", "INSERT INTO v VALUES (9, 'v')"},
		{"CREATE TABLE w (LIKE s INCLUDING ALL, c bigint)", "INSERT INTO w SELECT *, 3 FROM s", "CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS other"},
	}},
	{"generated columns", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, a bigint, b bigint GENERATED ALWAYS AS (a + 1) STORED, d text)", "INSERT INTO t (id, a, d) VALUES (1, 10, 'x')"},
		{"UPDATE t SET a = 20", "ALTER TABLE t DROP COLUMN b", "INSERT INTO t (id, a, d) VALUES (2, 5, 'y')", "ALTER TABLE t DROP COLUMN a", "UPDATE t SET d = 'z'"},
	}},
	{"numbered by the database", [][]string{
		{"CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)", "CREATE TABLE s (id bigserial PRIMARY KEY, v text)",
			"INSERT INTO t (v) VALUES ('a'), ('b')", "INSERT INTO s (v) VALUES ('a'), ('b')"},
		{"DELETE FROM t", "INSERT INTO t (v) VALUES ('c')", "?INSERT INTO t VALUES (1, 'd')", "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1, 'd')"},
		{"UPDATE s SET id = DEFAULT", "SELECT nextval('s_id_seq')"},
	}},
	{"types of all kinds", [][]string{
		{"CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TYPE pair AS (a bigint, b text)", "CREATE DOMAIN positive AS bigint CHECK (VALUE > 0)",
			`CREATE TABLE t (id mood PRIMARY KEY, n numeric(10, 2), c char(3), v varchar(4), b bit(3), i inet, r int4range, p pair, d positive, m money,
				j json, x point, ts time, tz timetz, o oid, a bigint[], l tsvector, ma macaddr, nm name, mr datemultirange)`,
			`INSERT INTO t VALUES ('ok', 1, 'a', 'ab', '101', '10.0.0.1/8', '[1,5)', '(1,"x y")', 7, 12.34, '{"a": 1, "a": 2}', '(1,2.5)',
				'12:34:56.789', '12:34:56+02', 4294967295, '{1,NULL,3}', 'a fat cat', '08:00:2b:01:02:03', 'name', '{[2024-01-01,2024-02-01)}')`,
			"INSERT INTO t (id) VALUES ('sad')"},
		{"UPDATE t SET n = 2.5, c = 'ab', p.b = NULL, a[2] = 2, d = 9 WHERE id = 'ok'"},
		{"UPDATE t SET v = 'x'", "?UPDATE t SET d = -1", "?UPDATE t SET v = 'too long'", "?UPDATE t SET id = 'none'", "DELETE FROM t WHERE id = 'sad'"},
	}},
	{"value of an enum renamed", [][]string{
		{"CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE t (id mood PRIMARY KEY)", "INSERT INTO t VALUES ('ok'), ('sad')"},
		{"~ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'"}, {"DELETE FROM t WHERE id = 'fine'"},
	}},
	{"names that need quotes", [][]string{
		{`CREATE TABLE "a table; 'x' ""q""" ("the key" text PRIMARY KEY, "select" bigint, "Ünï ""c""" double precision)`},
		{`INSERT INTO "a table; 'x' ""q""" VALUES ('k', 1, 2)`, `UPDATE "a table; 'x' ""q""" SET "the key" = 'l'`},
		{`ALTER TABLE "a table; 'x' ""q""" RENAME TO "%s"`, `UPDATE "%s" SET "select" = 2`, `DELETE FROM "%s"`},
		{`CREATE TABLE "$1" ("\x" text, "a.b" bigint)`, `INSERT INTO "$1" VALUES ('y', 1)`, `UPDATE "$1" SET "a.b" = 2`},
	}},
	{"names of the greatest length", [][]string{
		{`CREATE TABLE ` + long("t") + ` (` + long("c") + ` text PRIMARY KEY, v bigint)`, `INSERT INTO ` + long("t") + ` VALUES ('a', 1)`},
		{`UPDATE ` + long("t") + ` SET v = 2`, `CREATE TABLE ` + long("t")[:62] + `u (v bigint)`, `INSERT INTO ` + long("t")[:62] + `u VALUES (3)`},
		{`ALTER TABLE ` + long("t") + ` RENAME TO ` + long("u"), `DELETE FROM ` + long("u")},
	}},
	{"names in other letters", [][]string{
		{"CREATE TABLE Things (Id bigint PRIMARY KEY, V bigint)", "INSERT INTO tHINGS (iD, v) VALUES (1, 2)"},
		{`CREATE TABLE "Things" ("Id" bigint PRIMARY KEY, "id" text)`, `INSERT INTO "Things" VALUES (3, 'x')`, "UPDATE THINGS SET V = 4"},
		{"DROP TABLE thingS", `UPDATE "Things" SET id = 'y'`, `ALTER TABLE "Things" RENAME TO things`, "DELETE FROM Things"},
	}},
	{"tables exchange names", [][]string{
		{"CREATE TABLE a (x bigint)", "CREATE TABLE b (y bigint PRIMARY KEY)", "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)"},
		{"ALTER TABLE a RENAME TO c", "ALTER TABLE b RENAME TO a", "ALTER TABLE c RENAME TO b", "INSERT INTO a VALUES (3)", "INSERT INTO b VALUES (4)"},
		{"DELETE FROM a", "DELETE FROM b WHERE x = 1"},
	}},
	{"table again under its name", [][]string{
		{"CREATE TABLE t (a bigint PRIMARY KEY, b bigint)", "INSERT INTO t VALUES (1, 2)"},
		{"DROP TABLE t", "CREATE TABLE t (b text PRIMARY KEY, c text)", "INSERT INTO t VALUES ('x', 'y')", "DROP TABLE t", "CREATE TABLE t (z bigint)"},
		{"INSERT INTO t VALUES (1)", "ALTER TABLE t RENAME TO u", "CREATE TABLE t (y bigint)", "INSERT INTO t VALUES (2)"},
	}},
	{"column again under its name", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, a text, b text)", "INSERT INTO t VALUES (1, 'a', 'b')"},
		{"ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN a text DEFAULT 'x'", "INSERT INTO t VALUES (2, 'b2', 'a2')"},
		{"ALTER TABLE t RENAME COLUMN a TO c", "ALTER TABLE t RENAME COLUMN b TO a", "ALTER TABLE t RENAME COLUMN c TO b", "UPDATE t SET a = b || a"},
	}},
	{"definitions between changes", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, a text)", "INSERT INTO t VALUES (1, 'one')", "ALTER TABLE t ADD COLUMN b integer DEFAULT 42",
			"INSERT INTO t VALUES (2, 'two', 2)", "UPDATE t SET a = 'uno' WHERE id = 1", "ALTER TABLE t DROP COLUMN a", "INSERT INTO t VALUES (3, 3)",
			"ALTER TABLE t RENAME COLUMN id TO key", "UPDATE t SET key = key + 10", "ALTER TABLE t RENAME TO u", "DELETE FROM u WHERE key = 11"},
	}},
	{"key column renamed", [][]string{
		{"CREATE TABLE t (a bigint, b text, PRIMARY KEY (b, a))", "INSERT INTO t VALUES (1, 'x'), (2, 'y')"},
		{"ALTER TABLE t RENAME COLUMN b TO c", "UPDATE t SET c = 'z' WHERE a = 2", "DELETE FROM t WHERE a = 1"},
	}},
	{"conditional definitions", [][]string{
		{"DROP TABLE IF EXISTS t"}, {"CREATE TABLE IF NOT EXISTS t (a bigint)"}, {"CREATE TABLE IF NOT EXISTS t (b text)"}, {"INSERT INTO t VALUES (1)"},
		{"ALTER TABLE t ADD COLUMN IF NOT EXISTS a text", "ALTER TABLE IF EXISTS nowhere ADD COLUMN b text"},
		{"DROP TABLE IF EXISTS t"}, {"CREATE TABLE IF NOT EXISTS t (a bigint)"}, {"INSERT INTO t VALUES (2)"},
	}},
	{"definitions taken back", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, a bigint)", "INSERT INTO t VALUES (1, 2)"},
		{"ALTER TABLE t ADD COLUMN b integer DEFAULT 42", "CREATE TABLE u (x bigint)", "DROP TABLE t", "ROLLBACK"},
		{"UPDATE t SET a = 3", "CREATE TABLE u (y bigint)", "INSERT INTO u VALUES (1)"},
		{"ALTER TABLE t ADD COLUMN c text DEFAULT 'x'", "?ALTER TABLE t ADD COLUMN c text", "?CREATE TABLE u (z bigint)", "UPDATE t SET c = 'y'"},
		{"ALTER TABLE t RENAME TO v", "INSERT INTO v VALUES (2, 2, 'z')", "ROLLBACK"},
		{"DELETE FROM t"},
	}},
	{"statement that fails half-way", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, a bigint CHECK (a < 10))", "INSERT INTO t VALUES (1, 1)"},
		{"?INSERT INTO t VALUES (2, 2), (3, 30)", "?UPDATE t SET a = a + 9", "INSERT INTO t VALUES (4, 4)", "?INSERT INTO t VALUES (5, 5), (4, 4)"},
		{"INSERT INTO t VALUES (6, 6)", "?SELECT 1 / 0", "UPDATE t SET a = 7 WHERE id = 6", "?INSERT INTO nowhere VALUES (1)", "?SELEKT", "DELETE FROM t WHERE id = 1"},
	}},
	{"work that a function takes back", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v text)",
			"CREATE FUNCTION try(n bigint) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (n, 'tried'); BEGIN UPDATE t SET v = 'half'; INSERT INTO t VALUES (n, 'again'); " +
				"EXCEPTION WHEN unique_violation THEN INSERT INTO t VALUES (-n, 'caught'); END; RETURN 'done'; END $$"},
		{"SELECT try(1)"}, {"SELECT try(2)", "UPDATE t SET v = 'after' WHERE id = 2"},
	}},
	{"rows emptied at once", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v text)", "CREATE TABLE u (v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO u VALUES ('x')"},
		{"~TRUNCATE t, u"}, {"INSERT INTO t VALUES (1, 'c')"},
	}},
	{"indexes", [][]string{
		{"CREATE TABLE t (a bigint, b bigint)", "CREATE UNIQUE INDEX i ON t (a) WHERE b > 0", "INSERT INTO t VALUES (1, 1), (1, 0), (2, 1)"},
		{"INSERT INTO t VALUES (2, 5) ON CONFLICT (a) WHERE b > 0 DO UPDATE SET b = 6", "DROP INDEX i", "INSERT INTO t VALUES (2, 6)"},
		{"CREATE INDEX e ON t ((a + b))", "UPDATE t SET a = 3 WHERE b = 6"}, {"~REINDEX TABLE t"},
	}},
	{"rows that move on the disk", [][]string{
		{"CREATE TABLE t (a bigint, b bigint)", "CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (3, 1), (2, 1), (1, 1)", "DELETE FROM t WHERE a = 3"},
		{"~CLUSTER t USING i"}, {"UPDATE t SET b = 2 WHERE a = 1"},
	}},
	{"rows that are written again", [][]string{
		{"CREATE TABLE t (a bigint, b bigint)", "INSERT INTO t VALUES (3, 1), (2, 1), (1, 1)", "DELETE FROM t WHERE a = 3"},
		{"~ALTER TABLE t ALTER COLUMN b TYPE numeric"}, {"UPDATE t SET b = 2 WHERE a = 1"},
	}},
	{"column of another type", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY, v bigint)", "INSERT INTO t VALUES (1, 10), (2, 20)"},
		{"~ALTER TABLE t ALTER COLUMN v TYPE text USING 'v' || v"}, {"UPDATE t SET v = 'x' WHERE id = 1"},
	}},
	{"column that differs by row", [][]string{
		{"CREATE TABLE t (id bigint PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)", "CREATE SEQUENCE s"},
		{"~ALTER TABLE t ADD COLUMN n bigint DEFAULT nextval('s')"}, {"UPDATE t SET n = n + 100 WHERE id = 1"},
	}},
	{"key that comes and goes", [][]string{
		{"CREATE TABLE t (id bigint NOT NULL, v text)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')"},
		{"~ALTER TABLE t ADD PRIMARY KEY (id)"}, {"UPDATE t SET v = 'x' WHERE id = 1", "UPDATE t SET id = 3 WHERE id = 2"},
		{"~ALTER TABLE t DROP CONSTRAINT t_pkey"}, {"INSERT INTO t VALUES (1, 'twice')", "UPDATE t SET v = 'y' WHERE id = 1"},
	}},
	{"partitions", [][]string{
		{"~CREATE TABLE t (id bigint PRIMARY KEY, v text) PARTITION BY RANGE (id)", "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10)",
			"CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20)"},
		{"INSERT INTO t VALUES (1, 'a'), (2, 'b'), (12, 'c')"}, {"UPDATE t SET id = 11 WHERE id = 1", "DELETE FROM t WHERE id = 12", "DROP TABLE low"},
	}},
	{"inheritance", [][]string{
		{"~CREATE TABLE t (id bigint)", "~CREATE TABLE c (n bigint) INHERITS (t)"}, {"INSERT INTO c VALUES (1, 2)", "UPDATE t SET id = 3", "DELETE FROM t"},
	}},
	{"table that is not in the log", [][]string{
		{"~CREATE UNLOGGED TABLE t (id bigint PRIMARY KEY, v text)"}, {"INSERT INTO t VALUES (1, 'a')"}, {"UPDATE t SET v = 'b'"},
		{"~ALTER TABLE t SET LOGGED"}, {"UPDATE t SET v = 'c'"},
	}},
	{"materialized view", [][]string{
		{"CREATE TABLE t (v bigint)", "INSERT INTO t VALUES (1)", "~CREATE MATERIALIZED VIEW m AS SELECT v FROM t"},
		{"INSERT INTO t VALUES (2)", "REFRESH MATERIALIZED VIEW m"},
	}},
}

// long is a name of 63 bytes, the most that PostgreSQL takes.
func long(first string) string {
	for len(first) < 63 {
		first += "x"
	}
	return first
}
