package dbmstest

import (
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// reserved are the beginnings of the system's table names.
var reserved = []string{"dbos_", "h_", "sched_", "wf_", "ipc_", "fs_", "auth_", "prov_"}

// examineRights: an application reads everything and writes only its own
// tables; nothing it runs ends the transaction or reaches outside.
func examineRights(t *testing.T, e Engine) {
	d := openAsync(t, e)
	d.migrate(steps("services", false,
		"CREATE TABLE sched_task (id bigint PRIMARY KEY NOT NULL, v bigint)", "INSERT INTO sched_task VALUES (1, 1)"))
	d.exec("CREATE TABLE mine (id bigint PRIMARY KEY NOT NULL, v bigint)")
	var forbidden []string
	for _, prefix := range reserved {
		upper := strings.ToUpper(prefix)
		forbidden = append(forbidden,
			"CREATE TABLE "+prefix+"x (v bigint)", "CREATE TABLE "+upper+"y (v bigint)", `CREATE TABLE "`+prefix+`z" (v bigint)`,
			"CREATE VIEW "+prefix+"x AS SELECT 1", "ALTER TABLE mine RENAME TO "+prefix+"x", "CREATE TABLE "+prefix+"x AS SELECT 1")
	}
	forbidden = append(forbidden,
		"INSERT INTO sched_task VALUES (2, 2)", "UPDATE sched_task SET v = 2", "DELETE FROM sched_task",
		"WITH x AS (SELECT 1) DELETE FROM sched_task", "INSERT INTO sched_task VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET v = 3",
		"DROP TABLE sched_task", "ALTER TABLE sched_task ADD COLUMN w bigint", "ALTER TABLE sched_task RENAME TO other",
		"ALTER TABLE sched_task RENAME COLUMN v TO w", "CREATE INDEX own ON sched_task (v)",
		"DELETE FROM dbos_transaction", "DROP TABLE dbos_transaction")
	forbidden = append(forbidden, e.Dialect.Forbidden...)
	for _, sql := range forbidden {
		t.Run(sql, func(t *testing.T) { examineForbidden(t, d, sql) })
	}
	for _, sql := range e.Dialect.Refused {
		t.Run(sql, func(t *testing.T) { examineRefusedStatement(t, d, sql) })
	}
	t.Run("by trigger", func(t *testing.T) { examineTriggerRights(t, d, e) })
	t.Run("reading", func(t *testing.T) {
		d.want(1, "SELECT count(*) FROM sched_task")
		if d.integer("SELECT count(*) FROM dbos_transaction") == 0 {
			t.Error("dbos_transaction is empty")
		}
	})
	t.Run("service", func(t *testing.T) {
		d.update(func(tx dbms.Tx) error {
			_, err := tx.Exec(dbms.System("UPDATE sched_task SET v = 5"))
			return err
		})
		d.want(5, "SELECT v FROM sched_task")
	})
}

// examineForbidden: the statement is denied, changes nothing, and the
// transaction goes on.
func examineForbidden(t *testing.T, d *database, sql string) {
	d = &database{DB: d.DB, t: t}
	before := d.integer("SELECT count(*) FROM mine")
	_, err := d.Update(t.Context(), examiner, func(tx dbms.Tx) error {
		if err := run("INSERT INTO mine VALUES ($1, 0)", before)(tx); err != nil {
			return err
		}
		_, err := tx.Exec(dbms.SQL(sql))
		wantKind(t, err, abi.Denied, "Exec")
		rows, err := tx.Query(dbms.SQL(sql))
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
		}
		wantKind(t, err, abi.Denied, "Query")
		if abi.HintOf(err) == "" {
			t.Errorf("no hint what to do instead: %v", err)
		}
		if t.Failed() {
			return errBoom // take back what should not have worked, for the next statement
		}
		return nil
	})
	if t.Failed() {
		return
	}
	if err != nil {
		t.Fatalf("the transaction with the denied statement: %v", err)
	}
	d.want(before+1, "SELECT count(*) FROM mine")
	d.want(1, "SELECT count(*) FROM sched_task WHERE id = 1 AND v = 1")
}

// examineRefusedStatement: whatever the error is, it is one.
func examineRefusedStatement(t *testing.T, d *database, sql string) {
	_, err := d.try(sql)
	wantKind(t, err, abi.KindOf(err), "Update")
	err = d.View(t.Context(), run(sql))
	wantKind(t, err, abi.KindOf(err), "View")
	d.want(1, "SELECT count(*) FROM sched_task WHERE id = 1 AND v = 1")
}

// examineTriggerRights: a trigger has its maker's rights, whoever fires it.
func examineTriggerRights(t *testing.T, d *database, e Engine) {
	tryAll := func(fn func(tx dbms.Tx) error) error {
		_, err := d.Update(t.Context(), examiner, fn)
		return err
	}
	create := func(name, table, body string) func(dbms.Tx) error {
		return func(tx dbms.Tx) error {
			for _, sql := range e.Dialect.Trigger(name, "INSERT", table, body) {
				if err := run(sql)(tx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	insert := run("INSERT INTO mine VALUES (-1, 0)")
	for _, body := range []string{"UPDATE sched_task SET v = 66", "DELETE FROM dbos_transaction"} {
		for _, name := range []string{"thief", "h_thief"} {
			err := tryAll(func(tx dbms.Tx) error {
				if err := create(name, "mine", body)(tx); err != nil {
					return err
				}
				return insert(tx)
			})
			wantKind(t, err, abi.Denied, "a trigger "+name+" that does "+body)
		}
	}
	wantKind(t, tryAll(create("spy", "sched_task", "INSERT INTO mine VALUES (NEW.id, 0)")), abi.Denied, "a trigger on a service's table")
	d.want(1, "SELECT v FROM sched_task")
}
