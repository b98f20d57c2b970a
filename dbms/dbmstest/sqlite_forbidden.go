package dbmstest

// sqliteForbidden are the statements of SQLite that end or nest the
// transaction, reach other files, or change how the engine works.
var sqliteForbidden = []string{
	"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "RELEASE dbos", "ROLLBACK TO dbos",
	"ATTACH 'other.db' AS other", "ATTACH ':memory:' AS other", "DETACH main",
	"PRAGMA journal_mode = DELETE", "PRAGMA synchronous = OFF", "PRAGMA foreign_keys = OFF", "PRAGMA recursive_triggers = OFF",
	"PRAGMA user_version = 7", "PRAGMA writable_schema = ON", "PRAGMA query_only = ON", "PRAGMA wal_checkpoint", "PRAGMA defer_foreign_keys = ON",
	"PRAGMA locking_mode = NORMAL", "PRAGMA hard_heap_limit = 1", "PRAGMA trusted_schema = OFF", "PRAGMA temp_store_directory = '/'",
	"CREATE TEMP TABLE x (v)", "CREATE TEMP VIEW x AS SELECT 1", "CREATE TEMP TRIGGER x AFTER INSERT ON mine BEGIN SELECT 1; END",
	"DROP TABLE sqlite_schema",
	`DELETE FROM "SCHED_task"`, "REPLACE INTO sched_task VALUES (1, 2)", "INSERT OR REPLACE INTO dbos_meta VALUES ('capture', 0)",
	"DROP TRIGGER h_mine_insert", "DROP TABLE h_mine", "DELETE FROM h_mine", "CREATE INDEX i ON h_mine (v)",
	"CREATE VIRTUAL TABLE wf_x USING fts5(v)",
}

// sqliteRefused are statements that SQLite does not run inside a transaction,
// or ever.
var sqliteRefused = []string{
	"VACUUM", "VACUUM INTO 'copy.db'", "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, '')",
	"DELETE FROM sqlite_schema", "UPDATE sqlite_schema SET sql = ''", "SELECT load_extension('x')", "SELECT writefile('x', 'y')",
	"INSERT INTO pragma_table_info VALUES (1)",
}
