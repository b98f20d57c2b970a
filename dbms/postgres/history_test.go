package postgres

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// captures are the ways in which changes are captured.
var captures = []string{captureLogical, captureTriggers}

func onCaptures(t *testing.T, test func(t *testing.T, db *DB)) {
	for _, capture := range captures {
		t.Run(capture, func(t *testing.T) { test(t, system(t, dbms.Options{Durability: dbms.Async}, "dbos_history="+capture)) })
	}
}

func do(t *testing.T, db *DB, statements ...string) dbms.LSN {
	t.Helper()
	return commit(t, db, func(tx dbms.Tx) error {
		for _, sql := range statements {
			if _, err := tx.Exec(dbms.SQL(sql)); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
}

// everything reads all commits after an LSN, so many at a time.
func everything(ctx context.Context, db *DB, after dbms.LSN, limit int) ([]dbms.Commit, error) {
	var all []dbms.Commit
	for {
		commits, err := db.Changes(ctx, after, limit)
		if err != nil || len(commits) == 0 {
			return all, err
		}
		all = append(all, commits...)
		after = commits[len(commits)-1].LSN
	}
}

func readAllOf(t *testing.T, db *DB, after dbms.LSN, limit int) []dbms.Commit {
	t.Helper()
	commits, err := everything(t.Context(), db, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return commits
}

// busy runs transactions of all kinds at once: alone and gathered, with and
// without definitions, some of which are taken back, and some behind the
// engine's back.
func busy(t *testing.T, db *DB, rounds int) {
	var q gatherQueries
	if err := dbms.Bind(&q, gatherSource); err != nil {
		t.Fatal(err)
	}
	server := pgtest.Need(t)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range rounds {
				id := fmt.Sprintf("%d-%d", w, i)
				if _, err := db.Gather(t.Context(), abi.Call{Procedure: "put", Execution: id}, q.Put, id, i); err != nil {
					t.Error(err)
				}
				if _, err := db.Gather(t.Context(), abi.Call{Procedure: "add", Execution: id}, q.Add, id, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for w := range 2 {
		all.Go(func() {
			for i := range rounds {
				_, err := db.Update(t.Context(), abi.Call{Procedure: "app"}, func(tx dbms.Tx) error {
					_, err := tx.Exec(dbms.SQL("INSERT INTO app VALUES ($1, $2), ($1 + 1, $2)"), (i*2+w)*10, fmt.Sprint(w))
					if err == nil {
						_, err = tx.Exec(dbms.SQL("UPDATE bare SET n = n + 1"))
					}
					if i%5 == 0 {
						return errors.Join(err, errors.New("taken back"))
					}
					return err
				})
				if err != nil && !strings.Contains(err.Error(), "taken back") {
					t.Error(err)
				}
			}
		})
	}
	all.Go(func() {
		for i := range rounds / 4 {
			name := fmt.Sprintf("passing%d", i)
			for _, sql := range []string{"CREATE TABLE " + name + " (v bigint PRIMARY KEY)", "INSERT INTO " + name + " VALUES (1)", "DROP TABLE " + name} {
				_, err := db.Update(t.Context(), abi.Call{Procedure: "define"}, func(tx dbms.Tx) error { _, err := tx.Exec(dbms.SQL(sql)); return err })
				if err != nil {
					t.Error(err)
				}
			}
			if _, err := server.Exec(t.Context(), fmt.Sprintf("INSERT INTO %s.app VALUES (%d, 'behind')", db.settings.schema, -i-1)); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
}

// TestChangesFromAnywhere: whoever reads from whichever LSN, in batches of
// whatever size, gets the same commits with the same changes.
func TestChangesFromAnywhere(t *testing.T) {
	onCaptures(t, func(t *testing.T, db *DB) {
		account := dbms.Migrations{Owner: "sched", Steps: []dbms.Migration{{
			Version: 1, Name: "account", SQL: "CREATE TABLE sched_account (id text PRIMARY KEY, n bigint NOT NULL CHECK (n >= 0))"}}}
		if err := db.Migrate(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY, v text)", "CREATE TABLE bare (n bigint)", "INSERT INTO bare VALUES (0)")
		follower := make(chan []dbms.Commit, 1)
		done := make(chan struct{})
		go func() {
			var all []dbms.Commit
			for ended := false; ; {
				var after dbms.LSN
				if len(all) > 0 {
					after = all[len(all)-1].LSN
				}
				more, err := everything(t.Context(), db, after, 7)
				if err != nil {
					t.Error(err)
				}
				all = append(all, more...)
				if ended || err != nil {
					follower <- all
					return
				}
				select {
				case <-done:
					ended = true
				default:
				}
			}
		}()
		busy(t, db, 40)
		last := do(t, db, "INSERT INTO app VALUES (-1000, 'last')")
		close(done)
		want := readAllOf(t, db, 0, dbms.MaxBatch)
		if want[len(want)-1].LSN != last {
			t.Fatalf("Changes ends with %d, the last commit is %d", want[len(want)-1].LSN, last)
		}
		same(t, "a reader that follows", want, <-follower)
		same(t, "another node", want, readAllOf(t, node(t, urlOf(db), dbms.Options{}), 0, 3))
		for from := 0; from < len(want); from += 1 + len(want)/25 {
			same(t, fmt.Sprintf("from %d on", want[from].LSN), want[from+1:], readAllOf(t, db, want[from].LSN, 1+from%50))
		}
		checkBusy(t, want)
	})
}

func same(t *testing.T, who string, want, got []dbms.Commit) {
	t.Helper()
	if len(want) != len(got) {
		t.Errorf("%s reads %d commits, want %d", who, len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(want[i], got[i]) {
			t.Fatalf("%s reads\n%+v\nwant\n%+v", who, got[i], want[i])
		}
	}
}

// checkBusy: every gathered call has its own changes, and nothing is there
// twice or not at all.
func checkBusy(t *testing.T, commits []dbms.Commit) {
	t.Helper()
	last, behind := dbms.LSN(0), 0
	puts := map[string]int{}
	for _, c := range commits {
		for _, change := range c.Changes {
			if change.LSN <= last || change.LSN >= c.LSN {
				t.Fatalf("commit %d: change %d follows %d", c.LSN, change.LSN, last)
			}
			last = change.LSN
			if change.Table == "app" && change.Op == dbms.Insert && change.Row[1] == "behind" {
				behind++
				continue
			}
			if change.Table == "sched_account" && change.Op != dbms.Define {
				puts[c.Call.Procedure+" "+fmt.Sprint(change.Key[0])]++
				if change.Key[0] != c.Call.Execution {
					t.Errorf("the call of %s has the change of %v", c.Call.Execution, change.Key)
				}
			}
		}
		last = c.LSN
	}
	if len(puts) != 4*40*2 || behind != 40/4 {
		t.Errorf("%d calls have changes, want %d; %d changes behind the engine's back, want %d", len(puts), 4*40*2, behind, 40/4)
	}
	for what, n := range puts {
		if n != 1 {
			t.Errorf("%s is there %d times", what, n)
		}
	}
}

// TestChangesByManyReaders: several read at once, each at its own pace.
func TestChangesByManyReaders(t *testing.T) {
	onCaptures(t, func(t *testing.T, db *DB) {
		do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY, v text)")
		for i := range 60 {
			do(t, db, fmt.Sprintf("INSERT INTO app VALUES (%d, 'x')", i))
		}
		want := readAllOf(t, db, 0, dbms.MaxBatch)
		var all sync.WaitGroup
		for r := range 6 {
			all.Go(func() {
				got, err := everything(t.Context(), db, 0, r+1)
				if err != nil {
					t.Error(err)
					return
				}
				same(t, fmt.Sprintf("reader %d", r), want, got)
			})
		}
		all.Wait()
	})
}

// TestSlotLost: when the server does not have the slot any more, readers
// learn that history begins anew, and from there on it is exact again.
func TestSlotLost(t *testing.T) {
	db := system(t, dbms.Options{}, "dbos_history=logical")
	do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY, v text)")
	before := do(t, db, "INSERT INTO app VALUES (1, 'x')")
	db.history.closeIdle(0)
	if _, err := pgtest.Need(t).Exec(t.Context(), "SELECT pg_drop_replication_slot('"+db.history.slot+"')"); err != nil {
		t.Fatal(err)
	}
	lost := do(t, db, "INSERT INTO app VALUES (2, 'x')")
	var messages []string
	db.history.warn = func(message string, args ...any) { messages = append(messages, message+" "+fmt.Sprint(args...)) }
	_, err := db.Changes(t.Context(), before, 10)
	if abi.KindOf(err) != abi.Trimmed || abi.HintOf(err) == "" {
		t.Errorf("changes over the gap: %v, hint %q; want Trimmed", err, abi.HintOf(err))
	}
	if len(messages) != 1 || !strings.Contains(messages[0], "gap") {
		t.Errorf("warnings: %q, want one of the gap", messages)
	}
	oldest := db.Status().OldestLSN
	if oldest < lost {
		t.Errorf("history begins at %d, before the lost commit %d", oldest, lost)
	}
	do(t, db, "UPDATE app SET v = 'y' WHERE id = 1", "DELETE FROM app WHERE id = 2")
	commits := readAllOf(t, db, oldest, 10)
	if len(commits) != 1 || len(commits[0].Changes) != 2 || commits[0].Changes[1].Key[0] != int64(2) {
		t.Errorf("after the gap: %+v", commits)
	}
	t.Run("opening", func(t *testing.T) {
		db.history.closeIdle(0)
		if _, err := pgtest.Need(t).Exec(t.Context(), "SELECT pg_drop_replication_slot('"+db.history.slot+"')"); err != nil {
			t.Fatal(err)
		}
		again := node(t, urlOf(db), dbms.Options{})
		oldest := again.Status().OldestLSN
		if oldest < commits[0].LSN {
			t.Errorf("history begins at %d, before the lost commit %d", oldest, commits[0].LSN)
		}
		do(t, again, "DELETE FROM app")
		if commits := readAllOf(t, again, oldest, 10); len(commits) != 1 || len(commits[0].Changes) != 1 {
			t.Errorf("after the gap: %+v", commits)
		}
	})
	t.Run("readers at once", func(t *testing.T) {
		db.history.closeIdle(0)
		if _, err := pgtest.Need(t).Exec(t.Context(), "SELECT pg_drop_replication_slot('"+db.history.slot+"')"); err != nil {
			t.Fatal(err)
		}
		do(t, db, "INSERT INTO app VALUES (9, 'x')")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := db.Changes(t.Context(), oldest, 10); abi.KindOf(err) != abi.Trimmed && abi.KindOf(err) != abi.Unavailable {
					t.Errorf("changes over the gap: %v, want Trimmed", err)
				}
			})
		}
		all.Wait()
	})
}

// TestStrangers: what was changed behind the engine's back is in Changes.
func TestStrangers(t *testing.T) {
	onCaptures(t, func(t *testing.T, db *DB) {
		do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY, v text)")
		first := do(t, db, "INSERT INTO app VALUES (1, 'x')")
		behind := fmt.Sprintf("SET search_path = %s; BEGIN; INSERT INTO app VALUES (2, 'y'); UPDATE app SET v = 'z' WHERE id = 1; COMMIT", db.settings.schema)
		if _, err := pgtest.Need(t).Exec(t.Context(), behind); err != nil {
			t.Fatal(err)
		}
		do(t, db, "DELETE FROM app WHERE id = 2")
		for _, after := range []dbms.LSN{first, first, 0} {
			var ops []string
			for _, c := range readAllOf(t, db, after, 1) {
				if c.LSN <= first {
					continue
				}
				for _, change := range c.Changes {
					ops = append(ops, fmt.Sprint(change.Op, change.Key))
				}
			}
			if got := strings.Join(ops, " "); got != "insert[2] update[1] delete[2]" {
				t.Errorf("after %d: %s", after, got)
			}
		}
		if _, err := pgtest.Need(t).Exec(t.Context(), "TRUNCATE "+db.settings.schema+".app"); err == nil || !strings.Contains(err.Error(), "history") {
			t.Errorf("TRUNCATE behind the engine's back: %v, want it to be refused", err)
		}
	})
}

// TestFoundAtOpening: what was changed of the definitions behind the engine's
// back is found when the system is opened the next time, and so are the places
// of rows that VACUUM FULL has moved.
func TestFoundAtOpening(t *testing.T) {
	onCaptures(t, func(t *testing.T, db *DB) {
		schema := db.settings.schema
		do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY, v text)", "CREATE TABLE bare (n bigint)", "INSERT INTO app VALUES (1, 'x')")
		do(t, db, "INSERT INTO bare VALUES (1), (2), (3)")
		last := do(t, db, "DELETE FROM bare WHERE n = 1")
		for _, sql := range []string{
			"ALTER TABLE " + schema + ".app ADD COLUMN w bigint DEFAULT 7", "CREATE TABLE " + schema + ".other (id bigint PRIMARY KEY)",
			"ALTER TABLE " + schema + ".other OWNER TO " + schema + "_app", "INSERT INTO " + schema + ".other VALUES (5)", "VACUUM FULL " + schema + ".bare",
		} {
			if _, err := pgtest.Need(t).Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		again := node(t, urlOf(db), dbms.Options{})
		do(t, again, "UPDATE app SET v = 'y'", "UPDATE other SET id = 6", "DELETE FROM bare WHERE n = 2")
		var said []string
		for _, c := range readAllOf(t, again, last, 10) {
			for _, change := range c.Changes {
				said = append(said, fmt.Sprint(change.Op, " ", change.Table, change.Row, change.Key))
			}
		}
		want := "define app[] []; drop bare[] []; define bare[] []; insert bare[2] [(0,1)]; insert bare[3] [(0,2)]; define other[] []; insert other[5] [5]; " +
			"update app[1 y 7] [1]; delete other[] [5]; insert other[6] [6]; delete bare[] [(0,1)]"
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("Changes has\n%s\nwant\n%s", got, want)
		}
	})
}

// TestCaptureIsRestored: what capture needs of a table is put back when a
// statement has taken it away, and left alone otherwise.
func TestCaptureIsRestored(t *testing.T) {
	onCaptures(t, func(t *testing.T, db *DB) {
		server, schema := pgtest.Need(t), db.settings.schema
		do(t, db, "CREATE TABLE app (id bigint PRIMARY KEY, v text)", "CREATE TABLE bare (v text)")
		look := func() string {
			t.Helper()
			rows, err := server.Exec(t.Context(), fmt.Sprintf(`SELECT string_agg(concat(tgname, ' ', tgenabled, ' ', oid), ', ' ORDER BY oid) || (SELECT string_agg(concat(oid, ' ', relreplident), ', ' ORDER BY oid)
				FROM pg_class WHERE relnamespace = '%s'::regnamespace AND relname IN ('app', 'bare')) FROM pg_trigger WHERE tgrelid IN ('%[1]s.app'::regclass, '%[1]s.bare'::regclass)`, schema))
			if err != nil {
				t.Fatal(err)
			}
			return rows[0][0]
		}
		before := look()
		do(t, node(t, urlOf(db), dbms.Options{}), "CREATE TABLE another (v text)")
		if after := look(); after != before {
			t.Errorf("opening and other definitions changed\n%s\nto\n%s", before, after)
		}
		for _, sql := range []string{"ALTER TABLE app DISABLE TRIGGER ALL", "ALTER TABLE bare DISABLE TRIGGER ALL", "ALTER TABLE app REPLICA IDENTITY NOTHING"} {
			if _, err := server.Exec(t.Context(), "SET search_path = "+schema+"; "+sql); err != nil {
				t.Fatal(err)
			}
		}
		if look() == before {
			t.Fatal("the triggers cannot be disabled")
		}
		last := do(t, db, "CREATE TABLE third (v text)")
		if strings.Contains(look(), " D ") {
			t.Errorf("triggers stay disabled: %s", look())
		}
		do(t, db, "INSERT INTO app VALUES (1, 'x')", "UPDATE app SET v = 'y'", "INSERT INTO bare VALUES ('x')", "DELETE FROM app")
		if commits := readAllOf(t, db, last, 10); len(commits) != 1 || len(commits[0].Changes) != 4 {
			t.Errorf("after that: %+v", commits)
		}
	})
}

// TestDefinitionsOfManyNodes: nodes define tables at the same time, and each
// table's story is in Changes as it happened.
func TestDefinitionsOfManyNodes(t *testing.T) {
	onCaptures(t, func(t *testing.T, db *DB) {
		nodes := []*DB{db, node(t, urlOf(db), dbms.Options{}), node(t, urlOf(db), dbms.Options{})}
		var all sync.WaitGroup
		const each = 6
		for n, db := range nodes {
			all.Go(func() {
				for i := range each {
					name := fmt.Sprintf("t%d_%d", n, i)
					for _, sql := range []string{
						"CREATE TABLE " + name + " (id bigint PRIMARY KEY)", "INSERT INTO " + name + " VALUES (1)",
						"ALTER TABLE " + name + " RENAME TO " + name + "x", "UPDATE " + name + "x SET id = 2",
						"ALTER TABLE " + name + "x ADD COLUMN v text DEFAULT 'x'", "UPDATE " + name + "x SET v = 'y'", "DROP TABLE " + name + "x",
					} {
						_, err := db.Update(t.Context(), abi.Call{Procedure: "define"}, func(tx dbms.Tx) error { _, err := tx.Exec(dbms.SQL(sql)); return err })
						if err != nil {
							t.Errorf("%s: %v", sql, err)
						}
					}
				}
			})
		}
		all.Wait()
		stories := map[string][]string{}
		for _, c := range readAllOf(t, nodes[1], 0, 5) {
			for _, change := range c.Changes {
				name := strings.TrimSuffix(change.Table, "x")
				stories[name] = append(stories[name], fmt.Sprint(change.Op, change.Columns, change.Row))
			}
		}
		want := "define[id][] insert[id][1] define[id][] delete[id][] insert[id][2] define[id v][] update[id v][2 y] drop[][]"
		for name, story := range stories {
			if got := strings.ReplaceAll(strings.Join(story, " "), "] [", "]["); got != strings.ReplaceAll(want, "] [", "][") {
				t.Errorf("table %s: %s\nwant %s", name, got, want)
			}
		}
		if len(stories) != len(nodes)*each {
			t.Errorf("%d tables in Changes, want %d", len(stories), len(nodes)*each)
		}
	})
}
