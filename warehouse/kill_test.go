//go:build cgo

package warehouse_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// childEnv names the directory in which this process is to spool until it is killed.
const childEnv = "DBOS_WAREHOUSE_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := beKilled(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// countEnv is how many commits the child has to spool.
const countEnv = "DBOS_WAREHOUSE_COMMITS"

// randomFeed is a history that every process makes the same.
func randomFeed(commits int) *feed {
	f := newFeed("sqlite")
	random := rand.New(rand.NewPCG(7, 11))
	types := []string{"INTEGER", "TEXT", "REAL", "BLOB", ""}
	for n := range commits {
		var changes []dbms.Change
		work := feed{tables: map[string]modelTable{}}
		for name, t := range f.tables {
			work.tables[name] = modelTable{def: t.def, rows: maps.Clone(t.rows)}
		}
		for i := range 1 + random.IntN(5) {
			ch := randomChange(random, &work, types, n*10+i)
			work.apply(&ch)
			changes = append(changes, ch)
		}
		f.commit(changes...)
	}
	return f
}

func randomChange(random *rand.Rand, now *feed, types []string, n int) dbms.Change {
	typ := func() string { return types[random.IntN(len(types))] }
	name := fmt.Sprintf("t%d", random.IntN(3))
	t, there := now.tables[name]
	if !there {
		return define(name, "id|INTEGER", "v|"+typ())
	}
	switch random.IntN(60) {
	case 0:
		return dbms.Change{Op: dbms.Drop, Table: name}
	case 1, 2:
		ch := t.def
		ch.Columns, ch.Types = append(slices.Clone(ch.Columns), fmt.Sprintf("c%d", n)), append(slices.Clone(ch.Types), typ())
		ch.Defaults = make([]dbms.Value, len(ch.Columns))
		ch.Defaults[len(ch.Columns)-1] = awkward[random.IntN(len(awkward))]
		return ch
	}
	row := []dbms.Value{int64(random.IntN(40))}
	for range t.def.Columns[1:] {
		row = append(row, awkward[random.IntN(len(awkward))])
	}
	op := dbms.Insert
	if _, there := t.rows[id(row[:1])]; there {
		op = dbms.Update
		if random.IntN(3) == 0 {
			op = dbms.Delete
		}
	}
	return put(t.def, op, row...)
}

// beKilled spools in small steps, and seals and makes room now and then. It says each step.
func beKilled(dir string) error {
	ctx := context.Background()
	commits, err := strconv.Atoi(os.Getenv(countEnv))
	if err != nil {
		return err
	}
	f := randomFeed(commits)
	f.most = 10
	w, err := warehouse.Open(ctx, dir, warehouse.Options{Retention: -1})
	if err != nil {
		return err
	}
	for step := 0; ; step++ {
		at := w.Position().LSN
		fmt.Println(at)
		if at == f.lsn {
			return w.Close()
		}
		if _, err := w.Spool(ctx, f, at+40); err != nil {
			return err
		}
		if step%5 == 4 {
			if err := w.Seal(ctx); err != nil {
				return err
			}
		}
	}
}

// TestKilledWhileSpooling kills a process that spools, at instants that nobody
// chose, until one has come to the end: then history is what the model says, and so it is
// when it has been made again from the archive.
func TestKilledWhileSpooling(t *testing.T) {
	dir := t.TempDir()
	commits := 400
	if testing.Short() {
		commits = 120
	}
	kills := 0
	for finished := false; !finished; kills++ {
		finished = killed(t, dir, commits, kills)
	}
	t.Logf("%d kills", kills-1)
	f := randomFeed(commits)
	w := openAt(t, dir, warehouse.Options{Retention: -1})
	compare(t, w, f)
	if err := w.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/warehouse.duckdb"); err != nil {
		t.Fatal(err)
	}
	if _, err := warehouse.Open(t.Context(), dir, warehouse.Options{}); err == nil {
		t.Fatal("a warehouse without its file was opened")
	}
	if err := warehouse.Rebuild(t.Context(), dir, warehouse.Options{}, nil); err != nil {
		t.Fatal(err)
	}
	compare(t, openAt(t, dir, warehouse.Options{Retention: -1}), f)
}

func compare(t *testing.T, w *warehouse.Warehouse, f *feed) {
	t.Helper()
	if got, err := w.Spool(t.Context(), f, 0); err != nil || got != f.lsn {
		t.Fatalf("spooled up to %d, %v, want %d", got, err, f.lsn)
	}
	moments := slices.Sorted(maps.Keys(f.states))[1:]
	for i := 0; i < len(moments); i += len(moments)/8 + 1 {
		checkRows(t, w, f, moments[i])
	}
	checkRows(t, w, f, f.lsn)
	checkChanges(t, w, f)
}

// killed runs a child and kills it after some of its steps. It returns true if the
// child came to the end before.
func killed(t *testing.T, dir string, commits, attempt int) (finished bool) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir, countEnv+"="+strconv.Itoa(commits))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The pipe holds steps that were done long ago, so the instant is anyone's guess.
	last := 2 + rand.IntN(8)
	lines := bufio.NewScanner(out)
	for n := 0; n < last && lines.Scan(); n++ {
		if _, err := strconv.Atoi(lines.Text()); err != nil {
			t.Fatalf("attempt %d: %s", attempt, lines.Text())
		}
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	return cmd.Wait() == nil
}

func TestArchiveIsChecked(t *testing.T) {
	dir := t.TempDir()
	f := randomFeed(50)
	w := openAt(t, dir, warehouse.Options{Retention: -1})
	spool(t, w, f)
	if err := w.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	files := []string{}
	err := fs.WalkDir(os.DirFS(dir+"/segments"), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != "manifest.json" {
			files = append(files, dir+"/segments/"+path)
		}
		return err
	})
	if err != nil || len(files) < 3 {
		t.Fatalf("the archive is %v, %v", files, err)
	}
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(files[1], text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := warehouse.Rebuild(t.Context(), dir, warehouse.Options{}, nil); err == nil {
		t.Fatal("a damaged file was used")
	}
	compare(t, openAt(t, dir, warehouse.Options{Retention: -1}), f) // the failed Rebuild has changed nothing
}
