package prov

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
)

// call runs statements with a service's rights, as a call.
func (w *world) call(c abi.Call, statements ...string) dbms.LSN {
	w.t.Helper()
	if c.Procedure == "" {
		c.Procedure = "test"
	}
	lsn, err := w.db.Update(w.t.Context(), c, func(tx dbms.Tx) error { return execAll(tx, statements...) })
	if err != nil {
		w.t.Fatal(err)
	}
	return lsn
}

// services makes tables such as the scheduler's and the journal's.
func (w *world) services() {
	w.call(abi.Call{}, `CREATE TABLE sched_task (seq BIGINT PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, state TEXT NOT NULL, worker TEXT, epoch BIGINT NOT NULL)`,
		`CREATE TABLE sched_worker (id TEXT PRIMARY KEY)`, `CREATE TABLE sched_queue (name TEXT PRIMARY KEY)`,
		`CREATE TABLE wf_step (execution TEXT NOT NULL, seq BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, output TEXT, error TEXT, finished_at BIGINT NOT NULL, PRIMARY KEY (execution, seq))`)
}

// TestRestoreOfRuns: a plan tells which runs go on, which vanish, and what was
// done since outside of the database; the restore does what the plan says.
func TestRestoreOfRuns(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, _ dbmstest.Engine) {
		w.services()
		w.do(`CREATE TABLE app (id BIGINT PRIMARY KEY)`)
		then := w.call(abi.Call{}, `INSERT INTO sched_task VALUES (1, 'old', 'job', 'succeeded', NULL, 1), (2, 'going', 'job', 'running', 'w1', 1), (3, 'asleep', 'job', 'waiting', NULL, 1)`,
			`INSERT INTO sched_worker VALUES ('w1')`, `INSERT INTO wf_step VALUES ('going', 1, 'step', 'reserve', '1', NULL, 5)`)
		w.call(abi.Call{}, `UPDATE sched_task SET state = 'succeeded', worker = NULL WHERE id = 'going'`,
			`INSERT INTO wf_step VALUES ('going', 2, 'step', 'charge', '"receipt"', NULL, 6000001), ('going', 3, 'transaction', 'book', '1', NULL, 7)`,
			`INSERT INTO sched_task VALUES (4, 'new', 'mail', 'failed', NULL, 1), (5, 'newer', 'mail', 'running', 'w2', 1)`,
			`INSERT INTO wf_step VALUES ('new', 1, 'step', 'send', NULL, '{"message":"no"}', 8000000)`, `INSERT INTO sched_worker VALUES ('w2')`, `INSERT INTO sched_queue VALUES ('q')`)
		want := &RestorePlan{
			Tables:      []TablePlan{{Name: "sched_task", Applied: Applied{Changed: 1, Removed: 2}}, {Name: "wf_step", Applied: Applied{Removed: 3}}},
			Resumes:     []RunPlan{{ID: "asleep", Name: "job", State: "waiting", Then: "waiting"}, {ID: "going", Name: "job", State: "succeeded", Then: "running", Steps: 2}},
			Vanish:      []RunPlan{{ID: "new", Name: "mail", State: "failed", Steps: 1}, {ID: "newer", Name: "mail", State: "running"}},
			ResumeCount: 2, VanishCount: 2,
			External: []ExternalStep{{Run: "going", Step: 2, Name: "charge", Output: `"receipt"`, At: time.UnixMicro(6000001).UTC()},
				{Run: "new", Step: 1, Name: "send", Error: `{"message":"no"}`, At: time.UnixMicro(8000000).UTC()}},
		}
		ignore := []cmp.Option{cmpopts.IgnoreFields(RestorePlan{}, "To", "From", "LSN", "Took", "Warnings"), cmpopts.IgnoreUnexported(RestorePlan{})}
		plan, err := w.s.PlanRestore(t.Context(), RestoreOptions{To: itoa(then)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, plan, ignore...); diff != "" || plan.LSN != 0 {
			t.Errorf("the plan (-want +got):\n%s", diff)
		}
		var order []string
		done, err := w.s.Restore(t.Context(), RestoreOptions{To: itoa(then),
			Before: func(tx dbms.Tx) error {
				order = append(order, rowsOf(t, tx, "SELECT count(*) FROM sched_task"))
				return nil
			},
			After: func(tx dbms.Tx) error {
				order = append(order, rowsOf(t, tx, "SELECT count(*) FROM sched_task"))
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, done, ignore...); diff != "" {
			t.Errorf("the restore (-want +got):\n%s", diff)
		}
		if got := strings.Join(order, ", "); got != "5, 3" {
			t.Errorf("before and after it there were %s tasks, want 5, 3", got)
		}
		if got := w.list(`SELECT id FROM sched_worker ORDER BY id`) + "; " + w.list(`SELECT name FROM sched_queue`); got != "w1; w2; q" {
			t.Errorf("who executes, and queues, are %s, want what they were", got)
		}
		// With an application or tables named, runs stay.
		if _, err := w.s.Restore(t.Context(), RestoreOptions{To: itoa(done.From.LSN), Tables: []string{"app"}, After: func(dbms.Tx) error { t.Error("fenced"); return nil }}); err != nil {
			t.Error(err)
		}
		if got := w.list(`SELECT count(*) FROM sched_task`); got != "3" {
			t.Errorf("the restore of a table has left %s tasks, want 3", got)
		}
	})
}

func rowsOf(t *testing.T, tx dbms.Tx, query string) (text string) {
	t.Helper()
	err := each(tx, dbms.System(query), func(row []dbms.Value) error {
		text += strings.TrimSpace(itoa(dbms.LSN(numberOf(row[0]))))
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return text
}

// TestRestoreOfAnApplication: an application's tables are all that are not the
// services', where it is alone; otherwise the tables have to be named.
func TestRestoreOfAnApplication(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, _ dbmstest.Engine) {
		w.services()
		migrate := func(app, sql string) {
			err := w.db.Migrate(t.Context(), dbms.Migrations{Owner: "app:" + app, Application: true, Steps: []dbms.Migration{{Version: 1, Name: "init", SQL: sql}}})
			if err != nil {
				t.Fatal(err)
			}
		}
		migrate("shop", `CREATE TABLE item (id BIGINT PRIMARY KEY, price BIGINT)`)
		then := w.do(`INSERT INTO item VALUES (1, 5)`)
		w.do(`UPDATE item SET price = 6`)
		w.call(abi.Call{}, `INSERT INTO sched_task VALUES (1, 'r', 'job', 'succeeded', NULL, 1)`)
		if _, err := w.s.Restore(t.Context(), RestoreOptions{To: itoa(then), App: "hotel"}); !errors.Is(err, abi.NotFound) || !strings.Contains(err.Error(), "shop") {
			t.Errorf("another application: %v", err)
		}
		if _, err := w.s.Restore(t.Context(), RestoreOptions{To: itoa(then), App: "shop"}); err != nil {
			t.Fatal(err)
		}
		if got := w.list(`SELECT price, (SELECT count(*) FROM sched_task) FROM item`); got != "5 1" {
			t.Errorf("price and tasks are %s, want 5 1", got)
		}
		migrate("hotel", `CREATE TABLE room (id BIGINT PRIMARY KEY)`)
		if _, err := w.s.Restore(t.Context(), RestoreOptions{To: itoa(then), App: "shop"}); !errors.Is(err, abi.Invalid) || !strings.Contains(abi.HintOf(err), "name the tables") {
			t.Errorf("one of two applications: %v", err)
		}
	})
}

// TestResolve: what people write names what they mean, within the bounds.
func TestResolve(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, _ dbmstest.Engine) {
		w.do(`CREATE TABLE app (id BIGINT PRIMARY KEY)`)
		var lsns []dbms.LSN
		var times []time.Time
		for step, run := range []string{"", "run", "run", "run/2"} {
			lsn, err := w.db.Update(t.Context(), abi.Call{Procedure: "test", Execution: run, Step: step}, func(tx dbms.Tx) error {
				_, err := tx.Exec(dbms.SQL("INSERT INTO app VALUES ($1)"), step)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			lsns = append(lsns, lsn)
		}
		if _, err := w.s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, lsn := range lsns {
			m, err := w.s.Resolve(t.Context(), itoa(lsn))
			if err != nil || m.LSN != lsn {
				t.Fatal(m, err)
			}
			times = append(times, m.Time)
		}
		for text, want := range map[string]dbms.LSN{
			"now": lsns[3], "0s ago": lsns[3], "LSN " + itoa(lsns[1]): lsns[1], times[1].Format(time.RFC3339Nano): lsns[1], times[3].Format(time.RFC3339Nano): lsns[3],
			"run:run": lsns[0], "run": lsns[0], "run:run/1": lsns[0], "run:run/2": lsns[2],
		} {
			if times[1].Equal(times[2]) && strings.HasPrefix(text, "20") {
				continue // in one microsecond
			}
			m, err := w.s.Resolve(t.Context(), text)
			if err != nil || m.LSN != want || m.Text != text {
				t.Errorf("%q is %+v, %v; want LSN %d", text, m, err, want)
			}
		}
		for text, kind := range map[string]abi.Kind{
			"LSN " + itoa(lsns[3]+1_000_000_000): abi.NotFound, times[3].Add(time.Hour).Format(time.RFC3339Nano): abi.NotFound,
			"100 weeks ago": abi.Trimmed, "run:nobody": abi.NotFound, "run:run/7": abi.NotFound, "2026-99-99": abi.Invalid,
		} {
			m, err := w.s.Resolve(t.Context(), text)
			if abi.KindOf(err) != kind {
				t.Errorf("%q is %+v, %v; want %v", text, m, err, kind)
			}
			if hint := abi.HintOf(err); kind != abi.Invalid && (!strings.Contains(hint, itoa(lsns[3])) || !strings.Contains(hint, "LSN")) {
				t.Errorf("the hint of %q does not name the bounds: %q", text, hint)
			}
		}
	})
}
