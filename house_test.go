package dbos_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	maxFileLines     = 700
	maxFunctionLines = 100
)

// emptyNames say nothing about their subject, so everything ends up in them.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}

// A tree is the Go source below a directory, as far as the rules look at it.
type tree struct {
	module  string
	files   []source
	topDirs []string
}

// A source is one Go file.
type source struct {
	name, dir string
	test      bool
	generated bool
	imports   []string
	lines     int
	syntax    *ast.File
	fset      *token.FileSet
}

func TestHouseRules(t *testing.T) {
	tree, err := readTree(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	report(t, checkHouse(tree))
}

// readTree parses all Go source of a file system whose root holds go.mod.
// Like the go command it leaves out testdata and hidden directories.
func readTree(fsys fs.FS) (tree, error) {
	var t tree
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return t, err
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	t.module = strings.TrimSpace(strings.TrimPrefix(first, "module"))
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return t.enter(fsys, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(fsys, name)
		t.files = append(t.files, f)
		return err
	})
	return t, err
}

// enter decides whether the walk goes into a directory.
func (t *tree) enter(fsys fs.FS, dir string) error {
	if dir == "." {
		return nil
	}
	base := path.Base(dir)
	if base == "testdata" || strings.HasSuffix(base, "-data") { // the latter as in .gitignore
		return fs.SkipDir
	}
	if path.Dir(dir) == "." && !empty(fsys, dir) {
		t.topDirs = append(t.topDirs, dir)
	}
	if strings.HasPrefix(base, ".") {
		return fs.SkipDir
	}
	return nil
}

// empty reports whether a directory has no entries; git does not know those.
func empty(fsys fs.FS, dir string) bool {
	entries, err := fs.ReadDir(fsys, dir)
	return err == nil && len(entries) == 0
}

func parse(fsys fs.FS, name string) (source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return source{}, err
	}
	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	f := source{
		name: name, dir: path.Dir(name),
		test:      strings.HasSuffix(name, "_test.go"),
		generated: ast.IsGenerated(syntax),
		lines:     strings.Count(string(text), "\n"),
		syntax:    syntax, fset: fset,
	}
	for _, spec := range syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return f, err
		}
		f.imports = append(f.imports, imported)
	}
	return f, nil
}

// goDirs returns the directories that hold Go source, sorted.
func (t tree) goDirs() []string {
	var dirs []string
	for _, f := range t.files {
		dirs = append(dirs, f.dir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// checkHouse reports what breaks the rules of form. Generated files are
// exempt.
func checkHouse(t tree) []string {
	var findings []string
	for _, dir := range t.goDirs() {
		findings = append(findings, checkComment(t, dir)...)
	}
	for _, f := range t.files {
		findings = append(findings, checkName(f)...)
		if f.generated {
			continue
		}
		if f.lines > maxFileLines {
			findings = append(findings, fmt.Sprintf("%s has %d lines, at most %d are allowed; give each subject a file", f.name, f.lines, maxFileLines))
		}
		for _, decl := range f.syntax.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				findings = append(findings, checkFunction(f, fn)...)
			}
		}
		if f.test {
			findings = append(findings, checkSleep(f)...)
		}
	}
	return findings
}

// checkComment wants a package comment in one of a directory's files. A
// directory with nothing but tests may have it in a test.
func checkComment(t tree, dir string) []string {
	var name string
	testsOnly := !slices.ContainsFunc(t.files, func(f source) bool { return f.dir == dir && !f.test })
	for _, f := range t.files {
		if f.dir != dir || f.test && !testsOnly || f.generated {
			continue
		}
		name = f.syntax.Name.Name
		text := f.syntax.Doc.Text()
		if text != "" && (name == "main" || testsOnly || strings.HasPrefix(text, "Package "+name+" ")) {
			return nil
		}
	}
	if name == "" {
		return nil // generated as a whole
	}
	want := "Package " + name
	if name == "main" {
		want = "Command " + path.Base(dir)
	}
	return []string{fmt.Sprintf("%s: package %s has no package comment; say what it is for, beginning with %q", dir, name, want)}
}

func checkName(f source) []string {
	file := strings.TrimSuffix(path.Base(f.name), ".go")
	words := append(strings.Split(file, "_"), f.syntax.Name.Name, path.Base(f.dir))
	for _, word := range words {
		if slices.Contains(emptyNames, word) {
			return []string{fmt.Sprintf("%s: the name %q says nothing about its subject; name it after what it holds", f.name, word)}
		}
	}
	return nil
}

func checkFunction(f source, fn *ast.FuncDecl) []string {
	var findings []string
	if fn.Recv == nil && fn.Name.Name == "init" {
		findings = append(findings, fmt.Sprintf("%s: func init; nothing happens by being imported: make the value where it is used, or in its declaration", f.fset.Position(fn.Pos())))
	}
	first, last := f.fset.Position(fn.Pos()).Line, f.fset.Position(fn.End()).Line
	if n := last - first + 1; n > maxFunctionLines {
		findings = append(findings, fmt.Sprintf("%s: %s has %d lines, at most %d are allowed; cut it where its comment changes the subject", f.fset.Position(fn.Pos()), fn.Name.Name, n, maxFunctionLines))
	}
	return findings
}

// checkSleep finds time.Sleep in a test: a test waits on a signal.
func checkSleep(f source) []string {
	var findings []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if !ok || call.Sel.Name != "Sleep" {
			return true
		}
		if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "time" {
			findings = append(findings, fmt.Sprintf("%s: time.Sleep in a test; wait on a signal (a channel, DB.Watch, testing/synctest)", f.fset.Position(call.Pos())))
		}
		return true
	})
	return findings
}
