package dbms

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// Resource names a step in errors.
func (m Migrations) Resource(step Migration) string {
	return fmt.Sprintf("migration %04d_%s of %s", step.Version, step.Name, m.Owner)
}

// Check refuses steps that do not continue the ones that have run, whose
// digests are given in order. Engines call it before they migrate.
func (m Migrations) Check(done []string) error {
	if len(done) > len(m.Steps) {
		return abi.Errorf("dbms.migrate", abi.Conflict, "migrations of "+m.Owner,
			"the database is at version %d, this program knows %d", len(done), len(m.Steps)).
			WithHint("run the newer program, or restore an older copy of the database")
	}
	for i, step := range m.Steps {
		if step.Version != i+1 {
			return abi.Errorf("dbms.migrate", abi.Invalid, m.Resource(step), "step %d of the list has version %d", i+1, step.Version)
		}
		if i < len(done) && done[i] != step.Digest() && !strings.HasPrefix(done[i], carried) {
			return abi.Errorf("dbms.migrate", abi.Conflict, m.Resource(step), "it was edited after it had run").
				WithHint("put the old text back and append a new migration")
		}
	}
	return nil
}

// Run runs the steps that have not run, for engines. applied returns the
// digests of those that have, in order; apply runs one in a transaction of its
// own, as the call.
func (m Migrations) Run(applied func(owner string) ([]string, error), apply func(call abi.Call, step Migration) error) error {
	if err := abi.CheckName("dbms.migrate", "owner", m.Owner); err != nil {
		return err
	}
	done, err := applied(m.Owner)
	if err != nil {
		return err
	}
	if err := m.Check(done); err != nil {
		return err
	}
	for _, step := range m.Steps[len(done):] {
		if err := apply(abi.Call{Procedure: "dbms.migrate", Principal: abi.System}, step); err != nil {
			return abi.Errorf("dbms.migrate", abi.KindOf(err), m.Resource(step), "%w", err).WithHint("%s", abi.HintOf(err))
		}
	}
	return nil
}

// Digest is the fingerprint of the step's text, by which an engine knows
// whether it was edited.
func (m Migration) Digest() string {
	sum := sha256.Sum256([]byte(m.SQL))
	return hex.EncodeToString(sum[:])
}

// carried begins the digests of steps that have run on another engine.
const carried = "carried over: "

// CarriedDigest is recorded for a step that ran in a database of another
// engine, from which the tables were copied. The step's text may be another
// here, so Check accepts any.
func CarriedDigest(digest string) string { return carried + strings.TrimPrefix(digest, carried) }

// LoadMigrations reads the files NNNN_name.sql of a directory ("." for the
// root), such as 0001_init.sql. A file NNNN_name.ENGINE.sql replaces
// NNNN_name.sql on that engine. Other files are refused, lest one be
// overlooked.
func LoadMigrations(fsys fs.FS, dir, engine string) ([]Migration, error) {
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil, abi.Errorf("dbms.migrate", abi.Invalid, "migrations", "%w", err)
	}
	steps, files := map[int]Migration{}, map[migrationFile]string{}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		f, err := parseMigrationName(e.Name())
		if err != nil {
			return nil, err
		}
		if other, twice := files[migrationFile{version: f.version, engine: f.engine}]; twice {
			return nil, migrationError(e.Name(), "version "+strconv.Itoa(f.version)+" is also "+other)
		}
		files[migrationFile{version: f.version, engine: f.engine}] = e.Name()
		old, known := steps[f.version]
		if known && old.Name != f.name {
			return nil, migrationError(e.Name(), "version "+strconv.Itoa(f.version)+" is also "+old.Name)
		}
		if _, replaced := files[migrationFile{version: f.version, engine: engine}]; f.engine != engine && (f.engine != "" || replaced) {
			continue
		}
		sql, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return nil, abi.Errorf("dbms.migrate", abi.Invalid, "migration "+e.Name(), "%w", err)
		}
		steps[f.version] = Migration{Version: f.version, Name: f.name, SQL: string(sql)}
	}
	return inOrder(steps)
}

// A migrationFile is what a migration's file name says.
type migrationFile struct {
	version      int
	name, engine string
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

func parseMigrationName(file string) (f migrationFile, err error) {
	base, ok := strings.CutSuffix(file, ".sql")
	number, rest, ok2 := strings.Cut(base, "_")
	name, engine, specific := strings.Cut(rest, ".")
	version, convErr := strconv.Atoi(number)
	if !ok || !ok2 || convErr != nil || version < 1 || name == "" || specific && engine == "" {
		return f, migrationError(file, "it is not named like 0001_init.sql")
	}
	return migrationFile{version, name, engine}, nil
}

func migrationError(file, problem string) error {
	return abi.Errorf("dbms.migrate", abi.Invalid, "migration "+file, "%s", problem)
}
