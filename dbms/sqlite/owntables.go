package sqlite

// ownTables are the engine's own. They are not tracked: dbos_transaction and
// dbos_definition are themselves history.
var ownTables = []string{
	`CREATE TABLE IF NOT EXISTS dbos_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS dbos_transaction (
		lsn INTEGER PRIMARY KEY, -- of the commit
		at INTEGER NOT NULL, -- Tx.Now, in microseconds since 1970
		procedure TEXT NOT NULL,
		principal TEXT NOT NULL,
		execution TEXT,
		step INTEGER,
		node TEXT NOT NULL,
		started_at INTEGER NOT NULL -- by the caller's clock
	)`,
	`CREATE TABLE IF NOT EXISTS dbos_definition (
		seq INTEGER PRIMARY KEY, -- the change's own number
		name TEXT NOT NULL, -- the table
		op TEXT NOT NULL, -- define or drop
		sql TEXT,
		renamed TEXT, -- the name before
		columns TEXT, -- JSON array of stored columns
		key TEXT -- JSON array of key columns
	)`,
	`CREATE TABLE IF NOT EXISTS dbos_migration (
		owner TEXT NOT NULL,
		version INTEGER NOT NULL,
		name TEXT NOT NULL,
		digest TEXT NOT NULL, -- SHA-256 of the script
		applied_at INTEGER NOT NULL,
		PRIMARY KEY (owner, version)
	) WITHOUT ROWID`,
}
