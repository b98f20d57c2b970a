//go:build cgo

package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

func TestOldHistoryIsForgotten(t *testing.T) {
	f := newFeed("sqlite")
	of := define("t", "id|INTEGER", "name|TEXT")
	f.commit(of, put(of, dbms.Insert, int64(1), "never changed"), put(of, dbms.Insert, int64(2), "a"))
	dir := t.TempDir()
	var keptAt time.Time
	o := warehouse.Options{Retention: time.Hour, Now: func() time.Time { return keptAt.Add(time.Hour + time.Microsecond) }}
	w := openAt(t, dir, o)
	segment := func(name string) dbms.LSN {
		lsn := f.commit(put(of, dbms.Update, int64(2), name))
		spool(t, w, f)
		if err := w.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		return lsn
	}
	old, kept := segment("b"), segment("c")
	keptAt = f.commits[2].Time
	segment("d")
	check := func(what string) {
		t.Helper()
		if err := w.Expire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.Oldest().LSN; got != kept {
			t.Fatalf("%s: the oldest moment is %d, want %d", what, got, kept)
		}
		expect(t, what, ask(t, w, kept, "SELECT name FROM t ORDER BY id"), "never changed", "c")
		expect(t, what, ask(t, w, 0, "SELECT name FROM history.t ORDER BY dbos_lsn"), "never changed", "c", "d")
		expect(t, what, ask(t, w, 0, "SELECT count(*) FROM prov.calls c JOIN history.t h ON h.dbos_commit = c.lsn WHERE name = 'never changed'"), "1")
		for _, lsn := range []dbms.LSN{old, kept - 1} {
			if _, err := w.Query(t.Context(), lsn, "FROM t"); !errors.Is(err, abi.Trimmed) || !strings.Contains(abi.HintOf(err), fmt.Sprint(kept)) {
				t.Errorf("%s: at %d: %v", what, lsn, err)
			}
		}
		if _, err := w.LSNAt(t.Context(), keptAt.Add(-time.Microsecond)); !errors.Is(err, abi.Trimmed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("expired")
	check("expired again")
	if n := w.Status().Segments; n != 2 {
		t.Errorf("the archive has %d segments, want a base and the last one", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/warehouse.duckdb"); err != nil {
		t.Fatal(err)
	}
	if err := warehouse.Rebuild(t.Context(), dir, o, nil); err != nil {
		t.Fatal(err)
	}
	w = openAt(t, dir, o)
	check("rebuilt")
}

func TestWarehouseIsKeptSmall(t *testing.T) {
	f := newFeed("sqlite")
	of := define("t", "id|INTEGER", "name|TEXT")
	f.commit(of)
	for n := range 60 {
		var changes []dbms.Change
		for i := range 1000 {
			op := dbms.Update
			if n == 0 {
				op = dbms.Insert
			}
			changes = append(changes, put(of, op, int64(i), fmt.Sprintf("%d %x", n, uint64(n*i+1)*0x9E3779B97F4A7C15)))
		}
		f.commit(changes...)
	}
	dir := t.TempDir()
	w := openAt(t, dir, warehouse.Options{Retention: -1})
	spool(t, w, f)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = openAt(t, dir, warehouse.Options{Retention: -1, MaxBytes: 1})
	before := w.Status()
	size := before.Bytes * 2 / 3
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = openAt(t, dir, warehouse.Options{Retention: -1, MaxBytes: size})
	if err := w.Expire(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := w.Status()
	if after.Oldest.LSN == 0 || after.Oldest.LSN == after.Newest.LSN {
		t.Errorf("the oldest moment is %v, the newest %v", after.Oldest, after.Newest)
	}
	if after.Rows != 1000 || after.Versions >= before.Versions {
		t.Errorf("there are %d rows and %d versions, before there were %d", after.Rows, after.Versions, before.Versions)
	}
}

func TestOneOwner(t *testing.T) {
	dir := t.TempDir()
	w := openAt(t, dir, warehouse.Options{})
	if _, err := warehouse.Open(t.Context(), dir, warehouse.Options{}); !errors.Is(err, abi.Owned) {
		t.Errorf("opened twice: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Query(t.Context(), 0, "SELECT 1"); !errors.Is(err, abi.Closed) {
		t.Errorf("asked when closed: %v", err)
	}
	if _, err := w.Spool(t.Context(), newFeed("sqlite"), 0); !errors.Is(err, abi.Closed) {
		t.Errorf("spooled when closed: %v", err)
	}
	again := openAt(t, dir, warehouse.Options{})
	if _, err := again.Spool(t.Context(), newFeed("sqlite"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Spool(t.Context(), newFeed("postgres"), 0); !errors.Is(err, abi.Invalid) {
		t.Errorf("another database's history was spooled: %v", err)
	}
}

func TestCloseEndsQuestions(t *testing.T) {
	w, _ := oneTable(t)
	rows, err := w.Query(t.Context(), 0, "SELECT * FROM range(100000)")
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	running := make(chan error)
	go func() {
		_, err := tryAsk(t.Context(), w, 0, "SELECT count(*) FROM range(10000000) a, range(100000) b WHERE a.range <> b.range")
		running <- err
	}()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if rows.Next() || !errors.Is(rows.Err(), abi.Closed) {
		t.Errorf("rows go on after Close: %v", rows.Err())
	}
	if err := <-running; !errors.Is(err, abi.Closed) {
		t.Errorf("a query goes on after Close: %v", err)
	}
}

// TestCanceledQuestion cancels a query that would take for ever.
func TestCanceledQuestion(t *testing.T) {
	w, _ := oneTable(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := tryAsk(ctx, w, 0, "SELECT count(*) FROM range(10000000) a, range(100000) b WHERE a.range <> b.range"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a cancelled query: %v", err)
	}
	expect(t, "afterwards", ask(t, w, 0, "SELECT count(*) FROM t"), "1")
}

// TestLittleMemory spools more than the store may hold in memory.
func TestLittleMemory(t *testing.T) {
	f := newFeed("sqlite")
	of := define("t", "id|INTEGER", "name|TEXT")
	f.commit(of)
	for n := range 10 {
		var changes []dbms.Change
		for i := range 4000 {
			changes = append(changes, put(of, dbms.Insert, int64(n*4000+i), strings.Repeat(fmt.Sprintf("%x", uint64(n*4000+i+1)*0x9E3779B97F4A7C15), 100)))
		}
		f.commit(changes...)
	}
	w := openAt(t, t.TempDir(), warehouse.Options{Memory: 48 << 20})
	spool(t, w, f)
	expect(t, "all is there", ask(t, w, 0, "SELECT count(*), max(length(name)) FROM t"), "40000 1600")
}
