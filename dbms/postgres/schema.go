package postgres

import (
	"context"
	"fmt"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// formatVersion is the version of the engine's own tables. A database of a
// greater one was written by a newer program.
const formatVersion = 1

// ownTables are the engine's own tables, in the schema that is the search
// path. Times are microseconds since 1970, UTC.
const ownTables = `
CREATE SEQUENCE dbos_lsn START 1000000 INCREMENT 1000000 MINVALUE 1000000 CACHE 1;
CREATE TABLE dbos_meta (key text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE dbos_turn (id bigint PRIMARY KEY);
CREATE TABLE dbos_transaction (
	lsn bigint PRIMARY KEY, at bigint NOT NULL, procedure text NOT NULL, principal text NOT NULL,
	execution text, step bigint, node text NOT NULL, started_at bigint NOT NULL,
	nonce bigint NOT NULL, xid bigint NOT NULL, wal pg_lsn NOT NULL,
	note bytea, snapshot text); -- of Tx.Record, and what a transaction with a note has seen
CREATE TABLE dbos_migration (
	owner text NOT NULL, version bigint NOT NULL, name text NOT NULL, digest text NOT NULL, applied_at bigint NOT NULL,
	PRIMARY KEY (owner, version));
INSERT INTO dbos_meta VALUES ('format', 1);`

// appRole is the role under which applications' statements run.
func appRole(schema string) string { return schema + "_app" }

// bootstrap makes the schema, the application's role and the engine's tables,
// unless they are there. Several processes may do so at once.
func (db *DB) bootstrap(ctx context.Context) error {
	c, err := connect(ctx, db.settings.config, db.appName(), nil)
	if err != nil {
		return err
	}
	defer c.close()
	g := newGuard(ctx, c)
	defer g.stop()
	if !g.enter() {
		return stopCause(ctx)
	}
	defer g.leave()
	b := &installer{c, db.settings.schema, appRole(db.settings.schema), db.settings.location, db.options.Existing}
	c.named = false
	if err := b.run("BEGIN"); err != nil {
		return err
	}
	c.inBlock = true
	if err := b.install(db.ticketLock); err != nil {
		if ctx.Err() != nil {
			return stopCause(ctx)
		}
		return err
	}
	c.queue(commitBlock, nil)
	if err := c.sync(); err != nil {
		return err
	}
	rows, err := b.rows("SELECT current_setting('server_version')")
	if err != nil {
		return err
	}
	db.version, _ = rows[0][0].(string)
	return c.sync()
}

// An installer makes a system's schema in an open transaction.
type installer struct {
	*conn
	schema, app string
	location    string
	existing    bool // make nothing
}

func (b *installer) rows(sql string, args ...any) ([][]dbms.Value, error) {
	s, params, err := b.prepared(sql, args)
	if err != nil {
		return nil, err
	}
	r, err := b.conn.run(s, "", params, 0)
	return r.rows, err
}

func (b *installer) run(sql string, args ...any) error {
	_, err := b.rows(sql, args...)
	return err
}

// exists asks for one row.
func (b *installer) exists(sql string, args ...any) (bool, error) {
	rows, err := b.rows(sql, args...)
	return len(rows) > 0, err
}

func (b *installer) install(lock int64) error {
	found, err := b.exists("SELECT 1 FROM pg_namespace WHERE nspname = $1", b.schema)
	if err != nil {
		return err
	}
	if found {
		return b.check()
	}
	if b.existing {
		return abi.Errorf("postgres.open", abi.NotFound, b.location, "it has no schema %q: there is no DBOS system", b.schema).
			WithHint("a program makes it when it opens this URL; choose another system of the database with ?dbos_schema=NAME")
	}
	// One at a time; the others then find it done.
	if err := b.run("SELECT pg_advisory_xact_lock($1)", lock+1); err != nil {
		return err
	}
	if found, err = b.exists("SELECT 1 FROM pg_namespace WHERE nspname = $1", b.schema); err != nil || found {
		return err
	}
	if err := b.role(); err != nil {
		return err
	}
	script := fmt.Sprintf(`CREATE SCHEMA %[1]s; SET LOCAL search_path TO %[1]s; %[2]s
		GRANT USAGE, CREATE ON SCHEMA %[1]s TO %[3]s;
		GRANT SELECT ON ALL TABLES IN SCHEMA %[1]s TO %[3]s;
		GRANT SELECT ON ALL SEQUENCES IN SCHEMA %[1]s TO %[3]s;
		ALTER DEFAULT PRIVILEGES IN SCHEMA %[1]s GRANT SELECT ON TABLES TO %[3]s;`, b.schema, ownTables, b.app)
	for _, sql := range statements(script) {
		if err := b.run(sql); err != nil {
			return err
		}
	}
	return nil
}

// role makes the application's role and lets the login role act as it.
func (b *installer) role() error {
	found, err := b.exists("SELECT 1 FROM pg_roles WHERE rolname = $1", b.app)
	if err != nil {
		return err
	}
	missing := fmt.Sprintf("CREATE ROLE %s NOLOGIN; GRANT %s TO %s", b.app, b.app, "the login role")
	if !found {
		may, err := b.exists("SELECT 1 FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper)")
		if err != nil {
			return err
		}
		if !may {
			return abi.Errorf("postgres.open", abi.Denied, "role "+b.app, "applications act as this role, which does not exist, and the login role may not create it").
				WithHint("let an administrator run: %s", missing)
		}
		if err := b.run("CREATE ROLE " + b.app + " NOLOGIN"); err != nil {
			return err
		}
	}
	member, err := b.exists("SELECT 1 WHERE pg_has_role(current_user, $1::name, 'MEMBER')", b.app)
	if err != nil || member {
		return err
	}
	if err := b.run("GRANT " + b.app + " TO current_user"); err != nil {
		return abi.Errorf("postgres.open", abi.Denied, "role "+b.app, "the login role is not a member of it: %w", plain(err)).
			WithHint("let an administrator run: %s", missing)
	}
	return nil
}

// check refuses a schema that is not ours, or of another version.
func (b *installer) check() error {
	ours, err := b.exists("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'dbos_meta'", b.schema)
	if err != nil {
		return err
	}
	if !ours {
		return abi.Errorf("postgres.open", abi.Conflict, "schema "+b.schema, "it exists and is no DBOS system").
			WithHint("choose another with the URL parameter dbos_schema")
	}
	rows, err := b.rows("SELECT value FROM " + b.schema + ".dbos_meta WHERE key = 'format'")
	if err != nil {
		return err
	}
	if len(rows) != 1 || rows[0][0] != int64(formatVersion) {
		return abi.Errorf("postgres.open", abi.Unsupported, "schema "+b.schema, "its format is version %v, this program knows %d", rows, formatVersion).
			WithHint("run the program that wrote it, or a newer one")
	}
	return b.extend()
}

// extend gives a system from before the columns that it does not have. It asks
// first, because ALTER TABLE waits for everybody.
func (b *installer) extend() error {
	for _, c := range []struct{ table, column, sort string }{
		{"dbos_transaction", "note", "bytea"}, {"dbos_transaction", "snapshot", "text"}, {"dbos_definition", "defaults", "text"},
	} {
		lacks, err := b.exists(`SELECT 1 FROM pg_class c WHERE c.oid = to_regclass($1) AND NOT EXISTS
			(SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $2)`, b.schema+"."+c.table, c.column)
		if err != nil {
			return err
		}
		if !lacks {
			continue
		}
		if err := b.run("ALTER TABLE " + b.schema + "." + c.table + " ADD COLUMN IF NOT EXISTS " + c.column + " " + c.sort); err != nil {
			return err
		}
	}
	return nil
}
