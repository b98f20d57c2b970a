package postgres

import (
	"context"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

var (
	migrationDigests = dbms.System("SELECT digest FROM dbos_migration WHERE owner = $1 ORDER BY version")
	migrationLock    = dbms.System("SELECT pg_advisory_xact_lock($1)")
	migrationFind    = dbms.System("SELECT digest FROM dbos_migration WHERE owner = $1 AND version = $2")
	migrationInsert  = dbms.System("INSERT INTO dbos_migration (owner, version, name, digest, applied_at) VALUES ($1, $2, $3, $4, $5)")
)

// Migrate implements dbms.DB. Several nodes may do it at once: one of them
// runs each step.
func (db *DB) Migrate(ctx context.Context, m dbms.Migrations) error {
	applied := func(owner string) ([]string, error) { return db.applied(ctx, owner) }
	return m.Run(applied, func(call abi.Call, step dbms.Migration) error {
		_, err := db.UpdateReadCommitted(ctx, call, func(tx dbms.Tx) error { return db.apply(tx, m, step) })
		return err
	})
}

// applied returns the digests of the steps that have run, in order.
func (db *DB) applied(ctx context.Context, owner string) ([]string, error) {
	var digests []string
	err := db.View(ctx, func(tx dbms.Tx) (err error) {
		digests, err = texts(tx, migrationDigests, owner)
		return err
	})
	return digests, err
}

func texts(tx dbms.Tx, q *dbms.Query, args ...any) ([]string, error) {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// apply runs one step's script and records it. READ COMMITTED is enough: the
// lock lets one node at a time look whether the step has run, and run it.
func (db *DB) apply(tx dbms.Tx, m dbms.Migrations, step dbms.Migration) error {
	if _, err := tx.Exec(migrationLock, db.ticketLock+2); err != nil {
		return err
	}
	found, err := texts(tx, migrationFind, m.Owner, step.Version)
	if err != nil || len(found) == 1 && found[0] == step.Digest() {
		return err
	}
	for _, sql := range statements(step.SQL) {
		q := dbms.System(sql)
		if m.Application {
			q = dbms.SQL(sql)
		}
		if _, err := tx.Exec(q); err != nil {
			return err
		}
	}
	_, err = tx.Exec(migrationInsert, m.Owner, step.Version, step.Name, step.Digest(), tx.Now())
	return err
}
