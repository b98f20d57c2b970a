package dbms

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/dbos-go/dbos/abi"
)

// Migrations are the numbered steps by which one owner's tables came to be.
// They are only appended to: a step that has run is never edited, which the
// database checks by its digest.
type Migrations struct {
	// Owner is the service or application: "sched", "app:shop".
	Owner string
	// Application restricts the SQL to the application's own tables.
	Application bool
	// Steps in ascending Version, which counts from 1 without gaps.
	Steps []Migration
}

// A Migration is one step: a script of one or more statements.
type Migration struct {
	Version int
	Name    string
	SQL     string
}

// LoadMigrations reads the files NNNN_name.sql of a directory ("." for the
// root), such as 0001_init.sql. A file NNNN_name.ENGINE.sql replaces
// NNNN_name.sql on that engine. Other files are refused, lest one be
// overlooked.
func LoadMigrations(fsys fs.FS, dir, engine string) ([]Migration, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, abi.Errorf("dbms.migrate", abi.Invalid, "migrations", "%w", err)
	}
	steps := map[int]Migration{}
	specific := map[int]bool{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		version, name, only, err := parseMigrationName(e.Name())
		if err != nil {
			return nil, err
		}
		if only != "" && only != engine || only == "" && specific[version] {
			continue
		}
		if old, dup := steps[version]; dup && old.Name != name {
			return nil, migrationError(e.Name(), "version "+strconv.Itoa(version)+" is also "+old.Name)
		}
		sql, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, abi.Errorf("dbms.migrate", abi.Invalid, "migration "+e.Name(), "%w", err)
		}
		steps[version] = Migration{Version: version, Name: name, SQL: string(sql)}
		specific[version] = only != ""
	}
	return inOrder(steps)
}

func inOrder(steps map[int]Migration) ([]Migration, error) {
	list := make([]Migration, 0, len(steps))
	for _, m := range steps {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Migration) int { return a.Version - b.Version })
	for i, m := range list {
		if m.Version != i+1 {
			return nil, migrationError(m.Name, "version "+strconv.Itoa(i+1)+" is missing; number the files 0001, 0002, … without gaps")
		}
	}
	return list, nil
}

func parseMigrationName(file string) (version int, name, engine string, err error) {
	base, ok := strings.CutSuffix(file, ".sql")
	number, name, ok2 := strings.Cut(base, "_")
	version, convErr := strconv.Atoi(number)
	if !ok || !ok2 || convErr != nil || version < 1 || name == "" {
		return 0, "", "", migrationError(file, "it is not named like 0001_init.sql")
	}
	name, engine, _ = strings.Cut(name, ".")
	return version, name, engine, nil
}

func migrationError(file, problem string) error {
	return abi.Errorf("dbms.migrate", abi.Invalid, "migration "+file, "%s", problem)
}
