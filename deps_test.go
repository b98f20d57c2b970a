package dbos_test

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// A layer is one row of the policy: who the directories are and what they may
// import. Arrows point down; DESIGN.md, section 1.
type layer struct {
	// dir is a pattern of path.Match; "." is the root. With "/..." at its end
	// the directories below belong to it too: they are one unit, and what one
	// unit holds may import itself.
	dir string
	// level says where it stands, for messages.
	level string
	// imports are the units of this module that it may import.
	imports []string
	// libraries are other modules that it may import. The standard library is
	// allowed to all; cgo ("C") is a library here.
	libraries []string
	// testImports are units that only its _test.go files may import.
	testImports []string
	// testsOnly says that only _test.go files may import it.
	testsOnly bool
}

// engines are what the tests of a level above the seam open and examine.
var engines = []string{"dbms/sqlite", "dbms/postgres", "dbms/postgres/pgtest", "dbms/dbmstest"}

// testLibraries are what every _test.go file may import.
var testLibraries = []string{
	"pgregory.net/rapid",
	"github.com/google/go-cmp",
	"github.com/rogpeppe/go-internal",
}

// policy is the list of everything that may hold Go source, bottom first.
var policy = []layer{
	{dir: "abi", level: "the shared vocabulary"},

	{dir: "kernel", level: "Level 1, the kernel", imports: []string{"abi"}, libraries: []string{"golang.org/x/sys"}},

	{dir: "dbms", level: "Level 2, the seam over engines", imports: []string{"kernel", "abi"}, testImports: engines},
	{dir: "dbms/sqlite", level: "Level 2, an engine", imports: []string{"dbms", "kernel", "abi"},
		libraries: []string{"zombiezen.com/go/sqlite", "golang.org/x/sys"}, testImports: engines},
	{dir: "dbms/postgres", level: "Level 2, an engine", imports: []string{"dbms", "kernel", "abi"},
		libraries: []string{"github.com/jackc/pgx/v5", "github.com/jackc/puddle/v2"}, testImports: engines},
	{dir: "dbms/postgres/pgtest", level: "Level 2, an engine's servers for tests", imports: []string{"abi"},
		libraries: []string{"github.com/jackc/pgx/v5/pgconn"}, testsOnly: true},
	{dir: "dbms/dbmstest", level: "Level 2, the examiner and its list of engines",
		imports:   []string{"dbms", "dbms/sqlite", "dbms/postgres", "dbms/postgres/pgtest", "abi"},
		libraries: []string{"pgregory.net/rapid"}, testImports: engines, testsOnly: true},
	{dir: "dbms/footprint", level: "Level 2, what a transaction looked at", imports: []string{"dbms", "abi"}},
	{dir: "dbms/transfer", level: "Level 2, from one engine to another", imports: []string{"dbms", "abi"}, testImports: engines},

	{dir: "warehouse", level: "Level 2, the column store", imports: []string{"dbms", "dbms/footprint", "kernel", "abi"},
		libraries: []string{"github.com/duckdb/duckdb-go/v2"}, testImports: engines},

	{dir: "service/prov/...", level: "Level 3, a service over history",
		imports: []string{"dbms", "dbms/footprint", "dbms/transfer", "warehouse", "kernel", "abi"}, testImports: engines},
	{dir: "service/*/...", level: "Level 3, a service", imports: []string{"dbms", "kernel", "abi"}, testImports: engines},

	{dir: ".", level: "Level 4, the SDK", imports: []string{"service/*", "warehouse", "dbms", "dbms/footprint", "dbms/sqlite", "dbms/postgres", "dbms/transfer", "kernel", "abi"},
		libraries: []string{"github.com/google/uuid"}, testImports: engines},
	{dir: "replaytest", level: "Level 4, tests of applications", imports: []string{".", "dbms", "abi"}, testImports: engines},
	{dir: "examples/*/...", level: "Level 4, an application", imports: []string{".", "server", "dbms", "abi"},
		libraries: []string{"github.com/schollz/progressbar"}, testImports: []string{"dbms/postgres/pgtest", "replaytest"}},

	{dir: "proto/...", level: "the door's generated vocabulary",
		libraries: []string{"connectrpc.com/connect", "google.golang.org/protobuf"}},
	{dir: "server/...", level: "the door", imports: []string{".", "service/*", "dbms", "kernel", "abi", "proto"},
		libraries: []string{"connectrpc.com/connect", "google.golang.org/protobuf",
			"github.com/jackc/pgx/v5"},
		testImports: []string{"client"}},
	{dir: "client/...", level: "a node's client", imports: []string{"proto", "abi"},
		libraries:   []string{"connectrpc.com/connect", "google.golang.org/protobuf"},
		testImports: []string{".", "server"}},
	{dir: "cmd/dbos", level: "the one binary", imports: []string{"server", "client", ".", "dbms", "abi", "proto"},
		libraries: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/rivo/uniseg", "golang.org/x/term",
			"google.golang.org/protobuf"},
		testImports: []string{"dbms/postgres/pgtest"}},

	{dir: "bench/...", level: "the measurements, a module of their own", imports: []string{".", "warehouse", "dbms", "dbms/sqlite", "abi"},
		libraries: []string{"zombiezen.com/go/sqlite", "github.com/jackc/pgx", "github.com/riverqueue/river", "github.com/duckdb/duckdb-go/v2"}},
}

// An exception allows one arrow that the policy does not.
type exception struct {
	from, to string // directory, and directory or library
	tests    bool   // only in _test.go files
	reason   string
}

var exceptions = []exception{
	{from: "server/pgwire", to: "github.com/duckdb/duckdb-go/v2", tests: true,
		reason: "the endpoint's own tests answer from DuckDB in memory, where every kind of value and error can be made at will"},
	{from: "service/workflow", to: "service/sched", tests: true,
		reason: "a journal entry is fenced by the lease of its task, so the journal's tests need tasks with leases"},
}

// plainDirs are the top-level directories without Go source.
var plainDirs = []string{".git", ".ci", "docs"}

func TestLayers(t *testing.T) {
	tree, err := readTree(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkLayers(tree, policy, exceptions))
	report(t, checkDirs(tree, policy, plainDirs))
}

func report(t *testing.T, findings []string) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

// find returns the policy's row for a directory and the unit that the
// directory belongs to.
func find(rows []layer, dir string) (row layer, unit string, ok bool) {
	elements := strings.Split(dir, "/")
	for _, row := range rows {
		pattern, below := strings.CutSuffix(row.dir, "/...")
		n := strings.Count(pattern, "/") + 1
		if len(elements) < n || len(elements) > n && !below {
			continue
		}
		unit := path.Join(elements[:n]...)
		if match, err := path.Match(pattern, unit); err == nil && match {
			return row, unit, true
		}
	}
	return layer{}, "", false
}

// checkLayers reports every import that the policy does not allow, and every
// exception that is used no more or gives no reason.
func checkLayers(t tree, rows []layer, allowed []exception) []string {
	var findings []string
	used := make([]bool, len(allowed))
	for _, f := range t.files {
		row, unit, ok := find(rows, f.dir)
		if !ok {
			continue // checkDirs says so
		}
		for _, imported := range f.imports {
			problem := arrow(t.module, f, row, unit, imported, rows)
			if problem == "" {
				continue
			}
			to, _ := inModule(t.module, imported)
			i := slices.IndexFunc(allowed, func(e exception) bool {
				return e.from == f.dir && (e.to == to || e.to == imported) && (f.test || !e.tests)
			})
			if i >= 0 {
				used[i] = true
				continue
			}
			findings = append(findings, f.name+" imports "+imported+": "+problem)
		}
	}
	for i, e := range allowed {
		if e.reason == "" {
			findings = append(findings, fmt.Sprintf("deps_test.go: the exception %s → %s gives no reason; write one", e.from, e.to))
		}
		if !used[i] {
			findings = append(findings, fmt.Sprintf("deps_test.go: nothing needs the exception %s → %s any more; remove it", e.from, e.to))
		}
	}
	return findings
}

// arrow says what is wrong with an import, or "".
func arrow(module string, f source, row layer, unit, imported string, rows []layer) string {
	to, ours := inModule(module, imported)
	if !ours {
		return library(f, row, imported)
	}
	toRow, toUnit, ok := find(rows, to)
	if !ok {
		return fmt.Sprintf("the policy does not name the directory %s; add it to the policy in deps_test.go", to)
	}
	if toUnit == unit {
		return ""
	}
	if toRow.testsOnly && !f.test && !row.testsOnly {
		return toUnit + " is for tests only; import it from a _test.go file"
	}
	may := row.imports
	if f.test {
		may = slices.Concat(may, row.testImports)
	}
	if slices.ContainsFunc(may, func(p string) bool { ok, _ := path.Match(p, toUnit); return ok }) {
		return ""
	}
	if path.Dir(unit) == "service" && path.Dir(toUnit) == "service" {
		return "services do not import one another; they meet in one dbms.Tx, so let the level above compose them"
	}
	return fmt.Sprintf("%s (%s) may import of this module only: %s. Arrows point down; move the code to a lower level or take the value as an argument",
		unit, row.level, list(may))
}

// library says what is wrong with an import from another module, or "".
func library(f source, row layer, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") && first != "C" {
		return "" // the standard library
	}
	may := row.libraries
	if f.test {
		may = slices.Concat(may, testLibraries)
	}
	for _, lib := range may {
		if imported == lib || strings.HasPrefix(imported, lib+"/") {
			return ""
		}
	}
	return fmt.Sprintf("%s (%s) may use of other modules only: %s. Use it from the level that owns it, or add it to the policy in deps_test.go and to docs/dependencies.md",
		row.dir, row.level, list(may))
}

// inModule returns the directory of an import path of this module.
func inModule(module, imported string) (dir string, ok bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// checkDirs reports directories with Go source, and top-level directories,
// that no list names.
func checkDirs(t tree, rows []layer, plain []string) []string {
	var findings []string
	for _, dir := range t.goDirs() {
		if _, _, ok := find(rows, dir); !ok {
			findings = append(findings, fmt.Sprintf("the directory %s holds Go source and the policy does not name it; add a row to the policy in deps_test.go that says its level", dir))
		}
	}
	for _, dir := range t.topDirs {
		goDir := slices.ContainsFunc(t.files, func(f source) bool { return strings.HasPrefix(f.name, dir+"/") })
		if !goDir && !slices.Contains(plain, dir) {
			findings = append(findings, fmt.Sprintf("the top-level directory %s is on no list; only folders with content belong here: remove it, or add it to plainDirs in deps_test.go", dir))
		}
	}
	return findings
}
