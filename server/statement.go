package server

import (
	"strings"
	"unicode"

	"github.com/dbos-go/dbos/abi"
)

// changesRows reports whether a statement, which has run, changes rows: of
// any other, the engine would tell the count of the one before.
func changesRows(sql string) bool {
	switch firstWord(sql) {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH":
		return true
	}
	return false
}

// firstWord returns the first word of a statement in upper case, after blanks
// and comments.
func firstWord(sql string) string {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f;")
		rest, line := strings.CutPrefix(sql, "--")
		end := "\n"
		if !line {
			var block bool
			if rest, block = strings.CutPrefix(sql, "/*"); !block {
				break
			}
			end = "*/"
		}
		_, sql, _ = strings.Cut(rest, end)
	}
	word := strings.IndexFunc(sql, func(r rune) bool { return !unicode.IsLetter(r) })
	if word < 0 {
		word = len(sql)
	}
	return strings.ToUpper(sql[:word])
}

func checkStatement(sql string) error {
	if sql == "" {
		return abi.Errorf("server.sql", abi.Invalid, "argument sql", "it is empty").
			WithHint("write one statement, such as %q", "select * from sched_task")
	}
	return nil
}
