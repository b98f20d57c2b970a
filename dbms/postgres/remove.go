package postgres

import (
	"context"

	"github.com/dbos-go/dbos/abi"
)

// Remove removes the system that a URL names, with all its tables, its role
// and its place in the server's log. Nobody must have it open. Where there is none
// it does nothing. It is for scratch copies, whose rows are somewhere else too.
func Remove(ctx context.Context, url string) error {
	s, err := parseURL(url)
	if err != nil {
		return err
	}
	c, err := connect(ctx, s.config, "dbos remove", nil)
	if err != nil {
		return serverError("postgres.remove", err)
	}
	defer c.close()
	g := newGuard(ctx, c)
	defer g.stop()
	if !g.enter() {
		return stopCause(ctx)
	}
	defer g.leave()
	c.named = false
	b := &installer{conn: c, schema: s.schema, app: appRole(s.schema), location: s.location}
	err = b.remove()
	if err == nil {
		err = c.sync() // which commits
	}
	if err != nil {
		if ctx.Err() != nil {
			return stopCause(ctx)
		}
		return serverError("postgres.remove", err)
	}
	return nil
}

func (b *installer) remove() error {
	found, err := b.exists("SELECT 1 FROM pg_namespace WHERE nspname = $1", b.schema)
	if err != nil || !found {
		return err
	}
	ours, err := b.exists("SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'dbos_meta'", b.schema)
	if err != nil {
		return err
	}
	if !ours {
		return abi.Errorf("postgres.remove", abi.Conflict, "schema "+b.schema, "it is no DBOS system")
	}
	publication := (&history{historySetup: historySetup{schema: b.schema}}).publication()
	err = b.run(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots
		WHERE database = current_database() AND NOT active AND slot_name ~ ('^' || $1 || '_[0-9]+$')`, publication)
	for _, sql := range []string{
		"DROP PUBLICATION IF EXISTS " + quoteName(publication),
		"DROP PUBLICATION IF EXISTS " + quoteName(publication+"_log"),
		"DROP SCHEMA " + b.schema + " CASCADE",
	} {
		if err == nil {
			err = b.run(sql)
		}
	}
	if err != nil {
		return err
	}
	if found, err = b.exists("SELECT 1 FROM pg_roles WHERE rolname = $1", b.app); err != nil || !found {
		return err
	}
	if err := b.run("DROP OWNED BY " + b.app); err != nil {
		return err
	}
	return b.run("DROP ROLE " + b.app)
}
