package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// History's triggers of a table. PostgreSQL fires triggers in the order of
// their names; these come before others, so that changes are recorded about
// in the order in which they are made. Exactly in order they need not be: see
// arrange.
const (
	rowTrigger      = "0_dbos_change"
	truncateTrigger = "0_dbos_truncate"
)

// publication has the tables whose changes are read from the server's log.
func (h *history) publication() string { return "dbos_" + h.schema }

// journal is the publication of what is only inserted: transactions,
// definitions and changes recorded by triggers.
func (h *history) journal() string { return h.publication() + "_log" }

// publications makes the publications anew, or removes them.
func (h *history) publications(ctx context.Context, tx executor, capture string) error {
	p, j := quoteName(h.publication()), quoteName(h.journal())
	script := []string{"DROP PUBLICATION IF EXISTS " + p, "DROP PUBLICATION IF EXISTS " + j}
	if capture == captureLogical {
		script = append(script, "CREATE PUBLICATION "+p,
			"CREATE PUBLICATION "+j+" FOR TABLE dbos_transaction, dbos_definition WITH (publish = 'insert')")
	}
	return runScript(ctx, tx, script...)
}

// refuseTruncate makes the trigger function that refuses TRUNCATE, of which
// neither triggers nor the log tell the rows.
const refuseTruncate = `CREATE OR REPLACE FUNCTION dbos_truncate() RETURNS trigger LANGUAGE plpgsql AS $f$
BEGIN
	RAISE insufficient_privilege USING MESSAGE = format('TRUNCATE of table %I: history cannot follow it', TG_TABLE_NAME),
		HINT = format('use DELETE FROM %I', TG_TABLE_NAME);
END $f$`

// strangers makes what records, where changes are captured by triggers, the
// transactions of sessions that are not the engine's: at their commit they get
// a record and a ticket like every other. (In the server's log they are seen
// without: see foreignChange.)
func (h *history) strangers() []string {
	return []string{
		"CREATE TABLE IF NOT EXISTS dbos_stranger (xid bigint PRIMARY KEY)",
		fmt.Sprintf(`CREATE OR REPLACE FUNCTION dbos_stranger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
DECLARE
	now bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
	wal pg_lsn;
BEGIN
	DELETE FROM %[1]s.dbos_stranger WHERE xid = NEW.xid;
	PERFORM pg_advisory_xact_lock_shared(%[2]d);
	wal := pg_current_wal_insert_lsn();
	INSERT INTO %[1]s.dbos_transaction (lsn, at, procedure, principal, node, started_at, nonce, xid, wal)
	SELECT nextval('%[1]s.dbos_lsn'), greatest(now, (SELECT at FROM %[1]s.dbos_transaction ORDER BY lsn DESC LIMIT 1)), 'sql', 'user:' || session_user,
		coalesce(nullif(current_setting('application_name'), ''), 'unknown'), (extract(epoch FROM transaction_timestamp()) * 1000000)::bigint,
		(random() * 9e15)::bigint, NEW.xid, wal;
	RETURN NULL;
END $f$`, quoteName(h.schema), lockKey(h.schema)),
		"REVOKE EXECUTE ON FUNCTION dbos_stranger() FROM PUBLIC",
		"DROP TRIGGER IF EXISTS dbos_stranger ON dbos_stranger",
		"CREATE CONSTRAINT TRIGGER dbos_stranger AFTER INSERT ON dbos_stranger DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dbos_stranger()",
	}
}

// release takes everything away that an earlier capture has made, and what it
// has recorded.
func (h *history) release(ctx context.Context, tx executor, capture string) error {
	rows, err := tx.query(ctx, `SELECT c.relname, c.relreplident::text,
			(SELECT string_agg(tgname, ' ') FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname IN ('`+rowTrigger+`', '`+truncateTrigger+`')),
			EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'dbos_xid')
		FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND c.relname NOT LIKE 'dbos\_%'`, h.schema)
	if err != nil {
		return err
	}
	var script []string
	for _, r := range rows {
		name := quoteName(r[0].(string))
		if strings.HasPrefix(r[0].(string), "h_") && r[3] == int64(1) {
			script = append(script, "DROP TABLE "+name, "DROP FUNCTION IF EXISTS "+name+"() CASCADE")
			continue
		}
		if r[2] != nil {
			for _, trigger := range strings.Fields(r[2].(string)) {
				script = append(script, "DROP TRIGGER IF EXISTS "+quoteName(trigger)+" ON "+name)
			}
		}
		if r[1] == "f" {
			script = append(script, "ALTER TABLE "+name+" REPLICA IDENTITY DEFAULT")
		}
	}
	script = append(script, "DELETE FROM dbos_definition", refuseTruncate)
	script = append(script, h.strangers()...)
	// Only where triggers record changes are transactions looked for by their
	// number.
	script = append(script, "DROP INDEX IF EXISTS dbos_transaction_xid")
	if capture == captureTriggers {
		script = append(script, "CREATE INDEX dbos_transaction_xid ON dbos_transaction (xid)")
	}
	return runScript(ctx, tx, script...)
}

// byTriggers reports whether the table's changes are recorded by triggers:
// without a primary key, what the log says of a row does not identify it, nor
// does it while a key may be there twice.
func (rec *reconciler) byTriggers(s shape) bool {
	return rec.capture == captureTriggers || len(s.Key) == 0 || s.deferrable()
}

// captured reports whether a table has what capture needs.
func (rec *reconciler) captured(r relation, d definition) bool {
	if rec.byTriggers(d.shape) {
		return r.triggers == 2 && !r.published
	}
	return r.triggers == 1 && r.published && r.identity == "f"
}

// equip gives a table what capture needs: a history table and triggers, or a
// place in the publication. copies says that rows will be copied.
func (rec *reconciler) equip(ctx context.Context, t *target, old definition, copies bool) error {
	triggers := rec.byTriggers(t.shape)
	if triggers || copies || old.history != 0 {
		if err := rec.historyTable(ctx, t, old); err != nil {
			return err
		}
	}
	name := quoteName(t.name)
	script := []string{"CREATE OR REPLACE TRIGGER " + quoteName(truncateTrigger) + " BEFORE TRUNCATE ON " + name + " EXECUTE FUNCTION dbos_truncate()"}
	if triggers {
		script = append(script, rec.recorder(t), "REVOKE EXECUTE ON FUNCTION "+quoteName(t.history.name)+"() FROM PUBLIC",
			"CREATE OR REPLACE TRIGGER "+quoteName(rowTrigger)+" AFTER INSERT OR UPDATE OR DELETE ON "+name+
				" FOR EACH ROW EXECUTE FUNCTION "+quoteName(t.history.name)+"()")
		if t.published {
			script = append(script, "ALTER PUBLICATION "+quoteName(rec.h.publication())+" DROP TABLE "+name)
		}
		if t.identity == "f" {
			script = append(script, "ALTER TABLE "+name+" REPLICA IDENTITY DEFAULT")
		}
		return runScript(ctx, rec.tx, script...)
	}
	if t.triggers > 0 {
		script = append(script, "DROP TRIGGER IF EXISTS "+quoteName(rowTrigger)+" ON "+name)
	}
	if t.identity != "f" {
		script = append(script, "ALTER TABLE "+name+" REPLICA IDENTITY FULL")
	}
	if !t.published {
		script = append(script, "ALTER PUBLICATION "+quoteName(rec.h.publication())+" ADD TABLE "+name)
	}
	return runScript(ctx, rec.tx, script...)
}

// A historyTable holds the changes of a table that are recorded by triggers,
// or copied.
type historyTable struct {
	oid  int64
	name string
}

// historyTable makes the history table hold all the table's columns. It makes
// a new one if there is none yet, or if a column has become of another type.
func (rec *reconciler) historyTable(ctx context.Context, t *target, old definition) error {
	if old.history != 0 {
		rows, err := rec.tx.query(ctx, `SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_class c
			JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped WHERE c.oid = $1::bigint::oid`, old.history)
		if err != nil {
			return err
		}
		has := map[string]string{}
		for _, r := range rows {
			t.history = historyTable{old.history, r[0].(string)}
			has[r[1].(string)] = typeName(r[2].(string))
		}
		if fits, missing := fitsHistory(t.shape, has); fits && len(rows) > 0 {
			var script []string
			for _, c := range missing {
				script = append(script, "ALTER TABLE "+quoteName(t.history.name)+" ADD COLUMN "+quoteName(c.Name)+" "+c.historyType())
			}
			return runScript(ctx, rec.tx, script...)
		}
	}
	return rec.newHistoryTable(ctx, t)
}

// typeName is a type's name as historyType has it.
func typeName(name string) string {
	switch name {
	case "timestamp with time zone":
		return "timestamptz"
	case "character":
		return "bpchar"
	}
	return name
}

func fitsHistory(s shape, has map[string]string) (fits bool, missing []column) {
	for _, c := range s.stored() {
		switch typ, ok := has[c.Name]; {
		case !ok:
			missing = append(missing, c)
		case typ != c.historyType():
			return false, nil
		}
	}
	return true, missing
}

func (rec *reconciler) newHistoryTable(ctx context.Context, t *target) error {
	name, err := rec.freeName(ctx, t)
	if err != nil {
		return err
	}
	columns := []string{
		"dbos_xid bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint", "dbos_n bigint NOT NULL DEFAULT nextval('dbos_change')",
		"dbos_op text NOT NULL", "dbos_old text", "dbos_new text", // the versions of the row: see arrange
	}
	for _, c := range t.shape.stored() {
		columns = append(columns, quoteName(c.Name)+" "+c.historyType())
	}
	script := []string{"CREATE TABLE " + quoteName(name) + " (" + strings.Join(columns, ", ") + ")",
		"CREATE INDEX ON " + quoteName(name) + " (dbos_xid)"}
	if rec.capture == captureLogical {
		script = append(script, "ALTER PUBLICATION "+quoteName(rec.h.journal())+" ADD TABLE "+quoteName(name))
	}
	if err := runScript(ctx, rec.tx, script...); err != nil {
		return err
	}
	rows, err := rec.tx.query(ctx, "SELECT oid::bigint FROM pg_class WHERE relnamespace = $1::regnamespace AND relname = $2", rec.h.schema, name)
	if err != nil {
		return err
	}
	t.history = historyTable{rows[0][0].(int64), name}
	return nil
}

// freeName is h_ and the table's name, or that with its number if another
// table has, or had, the same.
func (rec *reconciler) freeName(ctx context.Context, t *target) (string, error) {
	for i := 0; ; i++ {
		name := "h_" + t.name
		switch {
		case i == 1:
			name += fmt.Sprintf("_%d", t.oid)
		case i > 1:
			name += fmt.Sprintf("_%d_%d", t.oid, i)
		}
		if len(name) > maxName {
			suffix := fmt.Sprintf("_%d_%d", t.oid, i)
			name = strings.ToValidUTF8(name[:maxName-len(suffix)], "") + suffix
		}
		rows, err := rec.tx.query(ctx, "SELECT 1 FROM pg_class WHERE relnamespace = $1::regnamespace AND relname = $2", rec.h.schema, name)
		if err != nil || len(rows) == 0 {
			return name, err
		}
	}
}

// recorder is the trigger function of a table. It runs with the rights of the
// login role, and must not depend on the caller's search path.
func (rec *reconciler) recorder(t *target) string {
	s := t.shape
	into := "INSERT INTO " + quoteName(rec.h.schema) + "." + quoteName(t.history.name)
	row := func(op, old, new string) string {
		names, values := []string{"dbos_op", "dbos_old", "dbos_new"}, []string{"'" + op + "'", old, new}
		for _, c := range s.stored() {
			if op == "delete" && !slices.Contains(s.Key, c.Number) {
				continue
			}
			from := "NEW."
			if op == "delete" {
				from = "OLD."
			}
			names, values = append(names, quoteName(c.Name)), append(values, from+quoteName(c.Name)+c.cast())
		}
		return into + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ");"
	}
	const old, new = "OLD.ctid::text", "NEW.ctid::text"
	update := row("delete", old, "NULL") + "\n\t\t" + row("insert", old, new)
	if len(s.Key) > 0 {
		var before, after []string
		for _, name := range s.keyNames() {
			before, after = append(before, "OLD."+quoteName(name)), append(after, "NEW."+quoteName(name))
		}
		update = "IF record_image_eq(ROW(" + strings.Join(before, ", ") + "), ROW(" + strings.Join(after, ", ") + ")) THEN\n\t\t\t" +
			row("update", old, new) + "\n\t\tELSE\n\t\t" + update + "\n\t\tEND IF;"
	}
	stranger := ""
	if rec.capture == captureTriggers {
		stranger = "\n\tIF coalesce(current_setting('dbos.node', true), '') = '' THEN\n\t\tINSERT INTO " + quoteName(rec.h.schema) +
			".dbos_stranger VALUES (pg_current_xact_id()::text::bigint) ON CONFLICT DO NOTHING;\n\tEND IF;"
	}
	return "CREATE OR REPLACE FUNCTION " + quoteName(t.history.name) + "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$\n" +
		"BEGIN" + stranger + "\n\tIF TG_OP = 'INSERT' THEN\n\t\t" + row("insert", "NULL", new) +
		"\n\tELSIF TG_OP = 'UPDATE' THEN\n\t\t" + update + "\n\tELSE\n\t\t" + row("delete", old, "NULL") +
		"\n\tEND IF;\n\tRETURN NULL;\nEND $f$"
}

// cast is what makes a value of the history's type.
func (c column) cast() string {
	if typ := c.historyType(); typ != "bpchar" {
		return "::" + typ
	}
	return ""
}

// filled reports whether a table has rows.
func (rec *reconciler) filled(ctx context.Context, t *target) (bool, error) {
	rows, err := rec.tx.query(ctx, "SELECT 1 FROM "+quoteName(t.name)+" LIMIT 1")
	return len(rows) > 0, err
}

// copyRows records the rows that a table has, as inserted or as updated.
func (rec *reconciler) copyRows(ctx context.Context, t *target, op dbms.Op) error {
	names, values := []string{"dbos_op", "dbos_old", "dbos_new"}, []string{"'" + string(op) + "'", "NULL", "ctid::text"}
	for _, c := range t.shape.stored() {
		names, values = append(names, quoteName(c.Name)), append(values, quoteName(c.Name)+c.cast())
	}
	return rec.tx.exec(ctx, "INSERT INTO "+quoteName(t.history.name)+" ("+strings.Join(names, ", ")+
		") SELECT "+strings.Join(values, ", ")+" FROM ONLY "+quoteName(t.name))
}
