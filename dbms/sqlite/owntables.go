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
		started_at INTEGER NOT NULL, -- by the caller's clock
		note BLOB -- of Tx.Record
	)`,
	`CREATE TABLE IF NOT EXISTS dbos_definition (
		seq INTEGER PRIMARY KEY, -- the change's own number
		name TEXT NOT NULL, -- the table
		op TEXT NOT NULL, -- define or drop
		sql TEXT,
		renamed TEXT, -- the name before
		columns TEXT, -- JSON array of stored columns
		key TEXT, -- JSON array of key columns
		types TEXT, -- JSON array of the columns' declared types
		defaults TEXT -- what rows from before have in new columns: dbms.MarshalValues
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

// laterColumns are those of the engine's tables that directories from before
// do not have.
var laterColumns = []struct{ table, column, sort string }{
	{"dbos_transaction", "note", "BLOB"},
	{"dbos_definition", "types", "TEXT"},
	{"dbos_definition", "defaults", "TEXT"},
}

// makeOwnTables creates the engine's tables, and columns they do not have yet.
func makeOwnTables(c *conn) error {
	for _, sql := range ownTables {
		if err := c.script(sql); err != nil {
			return err
		}
	}
	for _, l := range laterColumns {
		there, err := c.integer("SELECT count(*) FROM pragma_table_info($1) WHERE name = $2", l.table, l.column)
		if err != nil {
			return err
		}
		if there == 1 {
			continue
		}
		if err := c.script("ALTER TABLE " + l.table + " ADD COLUMN " + l.column + " " + l.sort); err != nil {
			return err
		}
	}
	return nil
}
