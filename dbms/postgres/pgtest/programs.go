package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/dbos-go/dbos/abi"
)

// ErrNotInstalled is in the chain of Start's error if the machine does not
// have PostgreSQL's server programs.
var ErrNotInstalled = errors.New("PostgreSQL's programs initdb and pg_ctl are not on PATH and not in /usr/lib/postgresql/*/bin")

// installed are the folders, beside those of PATH, in which distributions put
// the programs of each version.
var installed = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/pgsql/bin"}

// programs finds the folder of the server programs: the one on PATH, else the
// newest version in folders of such names.
func programs(patterns []string) (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	for _, pattern := range patterns {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
		for _, dir := range dirs {
			if complete(dir) {
				return dir, nil
			}
		}
	}
	return "", abi.Errorf("pgtest.start", abi.Unsupported, "PostgreSQL", "%w", ErrNotInstalled).
		WithHint("install PostgreSQL (Debian: apt-get install postgresql), or set %s to the URL of a server", serverEnv)
}

// complete reports whether a folder has what a test server needs.
func complete(dir string) bool {
	for _, program := range []string{"initdb", "pg_ctl", "postgres", "pg_basebackup"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return false
		}
	}
	return true
}

// version is the number in the name of a version's folder: 15 of
// /usr/lib/postgresql/15/bin.
func version(dir string) int {
	digits := []byte{}
	for _, c := range []byte(filepath.Dir(dir)) {
		if '0' <= c && c <= '9' {
			digits = append(digits, c)
		}
	}
	n, err := strconv.Atoi(string(digits))
	if err != nil {
		return 0
	}
	return n
}

// hasLibrary reports whether the server can preload a library. It is in one of
// these places beside the programs, by distribution.
func hasLibrary(bin, name string) bool {
	for _, lib := range []string{"../lib", "../lib/postgresql", "../lib64", "../lib64/pgsql"} {
		for _, extension := range []string{".so", ".dylib"} {
			if _, err := os.Stat(filepath.Join(bin, lib, name+extension)); err == nil {
				return true
			}
		}
	}
	return false
}
