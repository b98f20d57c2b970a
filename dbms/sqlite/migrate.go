package sqlite

import (
	"context"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Migrate implements dbms.DB.
func (db *DB) Migrate(ctx context.Context, m dbms.Migrations) error {
	applied := func(owner string) ([]string, error) { return db.applied(ctx, owner) }
	return m.Run(applied, func(call abi.Call, step dbms.Migration) error {
		_, err := db.Update(ctx, call, func(t dbms.Tx) error { return apply(t.(*tx), m, step) })
		return err
	})
}

// applied returns the digests of the steps that have run, in order.
func (db *DB) applied(ctx context.Context, owner string) ([]string, error) {
	var digests []string
	err := db.View(ctx, func(t dbms.Tx) error {
		digests = nil
		return t.(*tx).conn.scan("SELECT digest FROM dbos_migration WHERE owner = $1 ORDER BY version", func(r dbms.Rows) error {
			var d string
			err := r.Scan(&d)
			digests = append(digests, d)
			return err
		}, owner)
	})
	return digests, err
}

// apply runs one step's script and records it.
func apply(t *tx, m dbms.Migrations, step dbms.Migration) error {
	// Another caller of Migrate may have been faster.
	found := ""
	err := t.conn.scan("SELECT digest FROM dbos_migration WHERE owner = $1 AND version = $2",
		func(r dbms.Rows) error { return r.Scan(&found) }, m.Owner, step.Version)
	if err != nil || found == step.Digest() {
		return err
	}
	for rest := step.SQL; !blank(rest); {
		var err error
		if rest, err = t.execFirst(rest, m.Application); err != nil {
			return err
		}
	}
	_, err = t.Exec(migrationInsert, m.Owner, step.Version, step.Name, step.Digest(), t.Now())
	return err
}

var migrationInsert = dbms.System("INSERT INTO dbos_migration (owner, version, name, digest, applied_at) VALUES ($1, $2, $3, $4, $5)")

// execFirst runs the first statement of a script and returns the rest.
func (t *tx) execFirst(script string, app bool) (string, error) {
	if err := t.enter(); err != nil {
		return "", err
	}
	defer t.leave()
	s, rest, err := t.conn.first(script, app)
	if err != nil {
		return "", t.explain(err)
	}
	defer s.raw.Finalize()
	if err := t.bindAndSave(s, nil); err != nil {
		return "", err
	}
	if s.ddl != nil {
		return rest, t.explain(t.define(s))
	}
	_, err = s.run()
	return rest, t.explain(err)
}
