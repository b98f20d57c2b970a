package dbms_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"pgregory.net/rapid"
)

// folder makes a file system of files whose text is their name.
func folder(names ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for _, name := range names {
		fsys[name] = &fstest.MapFile{Data: []byte(name)}
	}
	return fsys
}

func TestLoadMigrations(t *testing.T) {
	fsys := folder("m/0001_init.sql", "m/0002_more_things.sql", "m/0002_more_things.sqlite.sql", "m/0003_only.sqlite.sql",
		"m/0003_only.postgres.sql", "m/sub/ignored.sql", "0001_root.sql")
	for _, c := range []struct {
		dir, engine string
		want        []dbms.Migration
	}{
		{"m", "sqlite", []dbms.Migration{{1, "init", "m/0001_init.sql"}, {2, "more_things", "m/0002_more_things.sqlite.sql"}, {3, "only", "m/0003_only.sqlite.sql"}}},
		{"m", "postgres", []dbms.Migration{{1, "init", "m/0001_init.sql"}, {2, "more_things", "m/0002_more_things.sql"}, {3, "only", "m/0003_only.postgres.sql"}}},
		{".", "sqlite", []dbms.Migration{{1, "root", "0001_root.sql"}}},
		{"m/none", "sqlite", nil},
	} {
		got, err := dbms.LoadMigrations(fsys, c.dir, c.engine)
		if c.want == nil {
			if !errors.Is(err, abi.Invalid) {
				t.Errorf("LoadMigrations(%s): %v, want an error of kind Invalid", c.dir, err)
			}
			continue
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("LoadMigrations(%s, %s) = %v, %v; want %v", c.dir, c.engine, got, err, c.want)
		}
	}
}

func TestLoadMigrationsRefuses(t *testing.T) {
	for _, names := range [][]string{
		{"0002_b.sql"}, {"0001_a.sql", "0003_c.sql"}, {"0001_a.sql", "0001_b.sql"}, {"0001_a.sql", "01_a.sql"}, {"0000_a.sql"}, {"-001_a.sql"},
		{"0001_.sql"}, {"0001_.sqlite.sql"}, {"0001_..sql"}, {"0001.sql"}, {"a_0001.sql"}, {"0001_a.txt"}, {"README.md"}, {"99999999999999999999_a.sql"},
	} {
		if got, err := dbms.LoadMigrations(folder(names...), ".", "sqlite"); !errors.Is(err, abi.Invalid) {
			t.Errorf("LoadMigrations of %q = %v, %v; want an error of kind Invalid", names, got, err)
		}
	}
	if got, err := dbms.LoadMigrations(folder(), ".", "sqlite"); err != nil || len(got) != 0 {
		t.Errorf("LoadMigrations of nothing = %v, %v", got, err)
	}
}

// TestLoadMigrationsModel: any list of steps is loaded in its order, each with
// the text for the engine.
func TestLoadMigrationsModel(t *testing.T) {
	name := rapid.StringMatching(`[a-z][a-z_0-9]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		var files []string
		var want []dbms.Migration
		for v := 1; v <= rapid.IntRange(0, 20).Draw(t, "steps"); v++ {
			base := fmt.Sprintf("%04d_%s", v, name.Draw(t, "name"))
			text := base + ".sql"
			files = append(files, text)
			if rapid.Bool().Draw(t, "other engine") {
				files = append(files, base+".postgres.sql")
			}
			if rapid.Bool().Draw(t, "this engine") {
				text = base + ".sqlite.sql"
				files = append(files, text)
			}
			want = append(want, dbms.Migration{Version: v, Name: base[5:], SQL: text})
		}
		got, err := dbms.LoadMigrations(folder(files...), ".", "sqlite")
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("files %q: %v, %v; want %v", files, got, err, want)
		}
	})
}

func FuzzLoadMigrations(f *testing.F) {
	f.Add("0001_a.sql", "0002_b.sqlite.sql")
	f.Add("1_.sql", "_")
	f.Fuzz(func(t *testing.T, first, second string) {
		fsys := fstest.MapFS{first: {Data: []byte("1")}, second: {Data: []byte("2")}}
		steps, err := dbms.LoadMigrations(fsys, ".", "sqlite")
		if err != nil {
			if !errors.Is(err, abi.Invalid) {
				t.Errorf("error of kind %v: %v", abi.KindOf(err), err)
			}
			return
		}
		for i, s := range steps {
			if s.Version != i+1 || s.Name == "" {
				t.Errorf("step %d is %+v", i+1, s)
			}
		}
	})
}
