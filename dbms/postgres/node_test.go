package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// urlOf is the URL of a test's system, for one more node.
func urlOf(db *DB) string { return db.settings.url }

// patience is how long anything prompt may take on a slow and busy machine.
const patience = 30 * time.Second

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
	}
}

func notify(topics ...string) func(dbms.Tx) error {
	return func(tx dbms.Tx) error {
		for _, topic := range topics {
			tx.Notify(topic)
		}
		return nil
	}
}

func commit(t *testing.T, db *DB, fn func(dbms.Tx) error) dbms.LSN {
	t.Helper()
	lsn, err := db.Update(t.Context(), abi.Call{Procedure: "test"}, fn)
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

// know waits until a node knows of another.
func know(t *testing.T, db *DB) {
	t.Helper()
	deadline := time.After(patience)
	for tick := time.NewTicker(5 * time.Millisecond); !db.wakeups.has(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("the other node is not known after %v", patience)
		}
	}
}

// TestWakeUps: a commit on one node wakes watchers on another, whatever the
// topic's name.
func TestWakeUps(t *testing.T) {
	first := system(t, dbms.Options{})
	second := node(t, urlOf(first), dbms.Options{})
	know(t, first)
	know(t, second)
	long := strings.Repeat("x", maxMessage) // too long to be sent: wakes all
	for _, topic := range []string{"t", "", "Ünï\x00code", "'\"\\", "not \xff UTF-8", long} {
		w, reverse := second.Watch(topic), first.Watch(topic)
		commit(t, first, notify(topic))
		await(t, "the second node's watcher of "+topic, w.C())
		second.Signal(topic)
		await(t, "the first node's watcher of "+topic, reverse.C())
		w.Close()
		reverse.Close()
	}
	many := make([]string, 2000)
	watchers := make([]dbms.Watcher, len(many))
	for i := range many {
		many[i] = strings.Repeat("topic", 5) + string(rune('a'+i%26)) + strings.Repeat("z", i/26)
		watchers[i] = second.Watch(many[i])
	}
	commit(t, first, notify(many...))
	for i, w := range watchers {
		await(t, many[i], w.C())
		w.Close()
	}
}

// TestListensAgain: a node whose listening connection breaks wakes everybody
// when it listens again.
func TestListensAgain(t *testing.T) {
	first := system(t, dbms.Options{Node: "first"})
	second := node(t, urlOf(first), dbms.Options{Node: "second"})
	w := second.Watch("missed")
	defer w.Close()
	if err := first.Expel(t.Context(), second.node); err != nil {
		t.Fatal(err)
	}
	await(t, "the watcher of a node whose connections broke", w.C())
	commit(t, second, notify()) // its other connections are replaced too
}

// TestAlone: a node that knows of no other sends nothing, and says goodbye
// when it goes.
func TestAlone(t *testing.T) {
	first := system(t, dbms.Options{})
	if first.wakeups.has() {
		t.Error("a single node knows of another")
	}
	second, err := Open(t.Context(), urlOf(first), dbms.Options{})
	if err != nil {
		t.Fatal(err)
	}
	know(t, first)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for tick := time.NewTicker(5 * time.Millisecond); first.wakeups.has(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("a node that has closed is not forgotten")
		}
	}
}

// TestSystemsApart: systems in one database do not see one another.
func TestSystemsApart(t *testing.T) {
	one, two := system(t, dbms.Options{}), system(t, dbms.Options{})
	for i, db := range []*DB{one, two} {
		commit(t, db, func(tx dbms.Tx) error {
			if _, err := tx.Exec(dbms.SQL("CREATE TABLE t (v bigint PRIMARY KEY)")); err != nil {
				return err
			}
			_, err := tx.Exec(dbms.SQL("INSERT INTO t VALUES ($1)"), i)
			return err
		})
	}
	for i, db := range []*DB{one, two} {
		if got, err := value(t, db, "SELECT sum(v) FROM t"); err != nil || got != int64(i) {
			t.Errorf("system %d holds %v, error %v", i, got, err)
		}
	}
	_, err := one.Update(t.Context(), abi.Call{Procedure: "test"}, func(tx dbms.Tx) error {
		_, err := tx.Exec(dbms.SQL("SELECT * FROM " + two.settings.schema + ".t"))
		return err
	})
	if abi.KindOf(err) != abi.Denied {
		t.Errorf("an application reads another system's table: %v", err)
	}
}

// TestExisting: where nothing is made, nothing is made.
func TestExisting(t *testing.T) {
	server := pgtest.Need(t)
	schema := pgtest.Schema(t)
	_, err := Open(t.Context(), server.URL(schema), dbms.Options{Existing: true})
	if abi.KindOf(err) != abi.NotFound || abi.HintOf(err) == "" {
		t.Errorf("opening a system that is not there: %v", err)
	}
	rows, err := server.Exec(t.Context(), "SELECT nspname FROM pg_namespace WHERE nspname = '"+schema+"'")
	if err != nil || len(rows) != 0 {
		t.Errorf("it was made: %v, %v", rows, err)
	}
	node(t, server.URL(schema), dbms.Options{})
	node(t, server.URL(schema), dbms.Options{Existing: true})
}

// TestForeignSchema: a schema that is not a system's is left alone.
func TestForeignSchema(t *testing.T) {
	server := pgtest.Need(t)
	schema := pgtest.Schema(t)
	if _, err := server.Exec(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), server.URL(schema), dbms.Options{})
	if abi.KindOf(err) != abi.Conflict || abi.HintOf(err) == "" {
		t.Errorf("opening a stranger's schema: %v", err)
	}
}

// TestOpenAtOnce: several nodes make a new system together.
func TestOpenAtOnce(t *testing.T) {
	url := pgtest.Need(t).URL(pgtest.Schema(t))
	opened := make(chan error, 4)
	for range cap(opened) {
		go func() {
			db, err := Open(t.Context(), url, dbms.Options{})
			if err == nil {
				err = db.Close()
			}
			opened <- err
		}()
	}
	for range cap(opened) {
		if err := <-opened; err != nil {
			t.Error(err)
		}
	}
}

// TestUnreachable: what is wrong with the server or the way to it is an error
// of its kind, with a hint.
func TestUnreachable(t *testing.T) {
	server := pgtest.Need(t)
	url := server.URL("dbos")
	for what, c := range map[string]struct {
		url  string
		kind abi.Kind
	}{
		"nobody listens": {"postgres://u@127.0.0.1:1/d?connect_timeout=2", abi.Unavailable},
		"no database":    {strings.Replace(url, "/postgres?", "/nowhere?", 1), abi.NotFound},
	} {
		_, err := Open(t.Context(), c.url, dbms.Options{})
		if abi.KindOf(err) != c.kind || abi.HintOf(err) == "" {
			t.Errorf("%s: %v, kind %q, hint %q; want kind %q", what, err, abi.KindOf(err), abi.HintOf(err), c.kind)
		}
	}
}
