package dbmstest

// sqliteCases are what makes the changes of SQLite's tables difficult to
// follow.
var sqliteCases = []Case{
	{"a row replaces several", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b UNIQUE)"},
		{"INSERT INTO t VALUES (1, 'x', 'p'), (2, 'y', 'q'), (3, 'z', 'r')"},
		{"REPLACE INTO t VALUES (1, 'y', 'r')"},
		{"UPDATE OR REPLACE t SET id = 9, a = 'x'", "INSERT OR REPLACE INTO t SELECT id + 1, a, b FROM t"},
	}},
	{"keys move along", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (3, 'c'), (2, 'b'), (1, 'a')"},
		{"UPDATE t SET id = -id"},
		{"UPDATE t SET id = id - 1"},
		{"UPDATE t SET id = id, v = v"},
	}},
	{"key equal by collation only", [][]string{
		{"CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO t VALUES ('a', 1)"},
		{"UPDATE t SET k = 'A'"},
		{"INSERT INTO t VALUES ('a', 2) ON CONFLICT DO UPDATE SET k = excluded.k, v = excluded.v"},
		{"DELETE FROM t WHERE k = 'A'"},
	}},
	{"key equal as a number only", [][]string{
		{"CREATE TABLE t (k PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 1), ('1', 2), (x'31', 3)"},
		{"UPDATE t SET k = 1.0 WHERE k = 1"},
		{"REPLACE INTO t VALUES (1, 4)"},
		{"DELETE FROM t WHERE k = 1"},
	}},
	{"integer primary key that is no rowid", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY DESC, v)", "INSERT INTO t VALUES (1, 1), (2, 2)"},
		{"UPDATE t SET id = 'text' WHERE id = 1", "DELETE FROM t WHERE id = 2"},
	}},
	{"no primary key", [][]string{
		{"CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 1), (1, 1), (NULL, NULL)"},
		{"UPDATE t SET rowid = rowid + 10 WHERE a = 1", "DELETE FROM t WHERE rowid = 11"},
		{"UPDATE t SET b = 2", "INSERT INTO t SELECT * FROM t"},
	}},
	{"no primary key, columns named as rowids", [][]string{
		{"CREATE TABLE t (rowid TEXT, _rowid_ TEXT)", "INSERT INTO t VALUES ('x', 'y'), ('x', 'y')"},
		{"UPDATE t SET rowid = 'z'", "UPDATE t SET oid = 100 WHERE oid = 1", "DELETE FROM t WHERE oid = 2"},
	}},
	{"cascades", [][]string{
		{"CREATE TABLE p (id INTEGER PRIMARY KEY)", "CREATE TABLE c (p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE, n)",
			"CREATE TABLE s (id PRIMARY KEY, p REFERENCES p ON DELETE SET NULL ON UPDATE SET DEFAULT DEFAULT 1)",
			"INSERT INTO p VALUES (1), (2), (3)", "INSERT INTO c VALUES (1, 1), (2, 2), (2, 3)", "INSERT INTO s VALUES ('a', 2), ('b', 3)"},
		{"UPDATE p SET id = 20 WHERE id = 2"},
		{"DELETE FROM p WHERE id = 20", "REPLACE INTO p VALUES (3)"},
		{"DELETE FROM c", "DROP TABLE c"},
		{"UPDATE s SET p = 1", "DROP TABLE p"},
	}},
	{"a table that refers to itself", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE)",
			"INSERT INTO t VALUES (1, 1), (2, 1), (3, 2), (4, 4), (5, 4)"},
		{"UPDATE t SET id = 10 WHERE id = 1", "UPDATE t SET id = id + 100 WHERE id >= 4"},
		{"DELETE FROM t WHERE id = 10"},
	}},
	{"key that refers to its own row", [][]string{
		{"CREATE TABLE t (a, b, PRIMARY KEY (a, b), UNIQUE (a), FOREIGN KEY (b) REFERENCES t (a) ON UPDATE CASCADE) WITHOUT ROWID",
			"INSERT INTO t VALUES (1, 1), (2, 1)"},
		{"UPDATE t SET a = 7 WHERE a = 1"},
	}},
	{"a change of a key that is ignored", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t ON UPDATE CASCADE)", "INSERT INTO t VALUES (1, 1), (2, 1), (3, 3)"},
		{"UPDATE OR IGNORE t SET id = 2 WHERE id = 1"}, {"INSERT INTO t VALUES (7, 7)"}, {"UPDATE t SET id = 30 WHERE id = 3"},
		{"UPDATE OR IGNORE t SET id = id + 5", "INSERT INTO t VALUES (100, 100)", "UPDATE t SET id = 101 WHERE id = 100"},
		{"?UPDATE t SET id = 12 WHERE id = 101", "UPDATE t SET id = 102 WHERE id = 101", "UPDATE OR REPLACE t SET id = 12 WHERE id = 102"},
		{"CREATE TRIGGER no BEFORE UPDATE ON t WHEN NEW.id < 0 BEGIN SELECT RAISE(IGNORE); END", "UPDATE t SET id = -id", "UPDATE t SET id = id + 1000"},
	}},
	{"triggers that change the row again", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, v, n DEFAULT 0)", "CREATE TABLE log (what)",
			"CREATE TRIGGER a AFTER INSERT ON t BEGIN UPDATE t SET v = v || '!' WHERE id = NEW.id; END",
			"CREATE TRIGGER b AFTER UPDATE OF v ON t WHEN NEW.n < 3 BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; INSERT INTO log VALUES (NEW.n); END",
			"CREATE TRIGGER c AFTER UPDATE OF n ON t WHEN NEW.n = 1 BEGIN DELETE FROM t WHERE id = NEW.id + 1; END"},
		{"INSERT INTO t (id, v) VALUES (2, 'y'), (1, 'x')"},
		{"UPDATE t SET v = 'z'", "INSERT INTO t (id, v) VALUES (1, 'w') ON CONFLICT DO UPDATE SET id = 5"},
	}},
	{"triggers before", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "CREATE TABLE log (what)",
			"CREATE TRIGGER a BEFORE INSERT ON t BEGIN INSERT INTO log VALUES (NEW.v); END",
			"CREATE TRIGGER b BEFORE DELETE ON t BEGIN UPDATE log SET what = OLD.v; END",
			"CREATE TRIGGER c BEFORE INSERT ON log WHEN NEW.what = 'no' BEGIN SELECT RAISE(IGNORE); END"},
		{"INSERT INTO t VALUES (1, 'a'), (2, 'no')", "REPLACE INTO t VALUES (1, 'b')", "DELETE FROM t"},
	}},
	{"view with triggers", [][]string{
		{"CREATE TABLE t (a, b)", "CREATE VIEW w AS SELECT a FROM t",
			"CREATE TRIGGER i INSTEAD OF INSERT ON w BEGIN INSERT INTO t VALUES (NEW.a, 'w'); END"},
		{"INSERT INTO w VALUES (1), (2)", "DROP VIEW w"},
	}},
	{"table from a query", [][]string{
		{"CREATE TABLE s (a INTEGER, b TEXT)", "INSERT INTO s VALUES (1, 'x'), (2, NULL)"},
		{"CREATE TABLE t AS SELECT a + 1 AS a, b, 1.5 AS c FROM s", "UPDATE t SET b = 'y' WHERE a = 2"},
	}},
	{"generated columns", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, a, b AS (a + 1) STORED, c AS (a + 2), d)", "INSERT INTO t (id, a, d) VALUES (1, 10, 'x')"},
		{"UPDATE t SET a = 20", "ALTER TABLE t DROP COLUMN c", "INSERT INTO t (id, a, d) VALUES (2, 5, 'y')"},
	}},
	{"strict table", [][]string{
		{"CREATE TABLE t (id INT PRIMARY KEY, v ANY, r REAL) STRICT", "INSERT INTO t VALUES (1, '1', 1), (2, 1, 2.5)", "?INSERT INTO t VALUES ('x', 1, 1)"},
		{"UPDATE t SET r = 3, v = r", "ALTER TABLE t ADD COLUMN w TEXT DEFAULT 'x'", "UPDATE t SET v = w WHERE id = 1"},
	}},
	{"names that need quotes", [][]string{
		{`CREATE TABLE "a table; 'x' ""q""" ("the key" TEXT PRIMARY KEY, "select" INTEGER, "Ünï ""c""" REAL)`},
		{`INSERT INTO "a table; 'x' ""q""" VALUES ('k', 1, 2)`, `UPDATE "a table; 'x' ""q""" SET "the key" = 'l'`},
		{`ALTER TABLE "a table; 'x' ""q""" RENAME TO "%s"`, `UPDATE "%s" SET "select" = 2`, `DELETE FROM "%s"`},
	}},
	{"names in other letters", [][]string{
		{"CREATE TABLE Things (Id INTEGER PRIMARY KEY, V)", "INSERT INTO tHINGS (iD, v) VALUES (1, 2)"},
		{"ALTER TABLE things ADD COLUMN W INTEGER DEFAULT 42", "UPDATE THINGS SET V = w, w = 1"},
		{"DROP TABLE thingS", "CREATE TABLE things (v)", "INSERT INTO things VALUES (3)"},
	}},
	{"table renamed in other letters", [][]string{
		{"CREATE TABLE things (id INTEGER PRIMARY KEY, v)", "INSERT INTO things VALUES (1, 2)"},
		{"ALTER TABLE things RENAME TO x", "ALTER TABLE x RENAME TO Things", "UPDATE things SET v = 3"},
	}},
	{"tables exchange names", [][]string{
		{"CREATE TABLE a (x)", "CREATE TABLE b (y PRIMARY KEY)", "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (2)"},
		{"ALTER TABLE a RENAME TO c", "ALTER TABLE b RENAME TO a", "ALTER TABLE c RENAME TO b", "INSERT INTO a VALUES (3)", "INSERT INTO b VALUES (4)"},
		{"DELETE FROM a", "DELETE FROM b WHERE x = 1"},
	}},
	{"table again under its name", [][]string{
		{"CREATE TABLE t (a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES (1, 2)"},
		{"DROP TABLE t", "CREATE TABLE t (b TEXT PRIMARY KEY, c)", "INSERT INTO t VALUES ('x', 'y')", "DROP TABLE t", "CREATE TABLE t (z)"},
		{"INSERT INTO t VALUES (1)", "ALTER TABLE t RENAME TO u", "CREATE TABLE t (y)", "INSERT INTO t VALUES (2)"},
	}},
	{"column again under its name", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", "INSERT INTO t VALUES (1, 'a', 'b')"},
		{"ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN a TEXT DEFAULT 'x'", "INSERT INTO t VALUES (2, 'b2', 'a2')"},
		{"ALTER TABLE t RENAME COLUMN a TO c", "ALTER TABLE t RENAME COLUMN b TO a", "ALTER TABLE t RENAME COLUMN c TO b", "UPDATE t SET a = b || a"},
	}},
	{"conditional definitions", [][]string{
		{"DROP TABLE IF EXISTS t"}, {"CREATE TABLE IF NOT EXISTS t (a)"}, {"CREATE TABLE IF NOT EXISTS t (a)"}, {"INSERT INTO t VALUES (1)"},
		{"DROP TABLE IF EXISTS t"}, {"CREATE TABLE IF NOT EXISTS t (a)"}, {"INSERT INTO t VALUES (2)"},
	}},
	{"definitions taken back", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "INSERT INTO t VALUES (1, 2)"},
		{"ALTER TABLE t ADD COLUMN b INTEGER DEFAULT 42", "CREATE TABLE u (x)", "DROP TABLE t", "ROLLBACK"},
		{"UPDATE t SET a = 3", "CREATE TABLE u (y)", "INSERT INTO u VALUES (1)"},
		{"ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'x'", "?ALTER TABLE t ADD COLUMN c", "?CREATE TABLE u (z)", "UPDATE t SET a = c"},
		{"ALTER TABLE t RENAME TO v", "INSERT INTO v VALUES (2, 2, 'z')", "ROLLBACK"},
		{"DELETE FROM t"},
	}},
	{"statement that fails half-way", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY, a CHECK (a < 10))", "INSERT INTO t VALUES (1, 1)"},
		{"?INSERT INTO t VALUES (2, 2), (3, 30)", "?UPDATE t SET a = a + 9", "INSERT INTO t VALUES (4, 4)"},
		{"?INSERT OR FAIL INTO t VALUES (5, 5), (4, 4), (6, 6)", "?UPDATE OR FAIL t SET id = id + 1 WHERE id > 3"},
	}},
	{"more columns than usual", [][]string{
		{"CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) SELECT i, i * i AS square FROM n"},
		{"UPDATE t SET square = NULL WHERE i % 2 = 0", "DELETE FROM t WHERE i > 400"},
	}},
	{"autoincrement", [][]string{
		{"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "INSERT INTO t (v) VALUES ('a'), ('b')"},
		{"DELETE FROM t", "INSERT INTO t (v) VALUES ('c')"},
	}},
	{"indexes", [][]string{
		{"CREATE TABLE t (a, b)", "CREATE UNIQUE INDEX i ON t (a) WHERE b > 0", "INSERT INTO t VALUES (1, 1), (1, 0), (2, 1)"},
		{"INSERT OR REPLACE INTO t VALUES (2, 5)", "DROP INDEX i", "INSERT INTO t VALUES (2, 6)", "REINDEX t"},
	}},
}
