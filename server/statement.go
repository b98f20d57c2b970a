package server

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dbos-go/dbos/abi"
)

// returnsRows reports whether a statement, in any engine's dialect, returns
// rows: all do but those that change rows without RETURNING and those that
// define things. Of a statement that it takes for one that returns rows, and
// that does not, nobody learns how many rows it changed; no more than that
// depends on it.
func returnsRows(sql string) bool {
	words := &lexer{rest: sql}
	switch verb := words.verb(); {
	case changing(verb):
		for word := words.outer(); word != ""; word = words.outer() {
			if word == "RETURNING" {
				return true
			}
		}
		return false
	case defining(verb):
		return false
	}
	return true
}

// writes reports whether a statement is one that changes or defines something
// in an engine's dialect. The warehouse, which has views only, refuses those in
// words that do not say so.
func writes(sql string) bool {
	verb := (&lexer{rest: sql}).verb()
	return changing(verb) || defining(verb)
}

// changing reports whether a statement that begins with the word changes rows.
func changing(verb string) bool {
	switch verb {
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE":
		return true
	}
	return false
}

// defining reports whether a statement that begins with the word defines
// something.
func defining(verb string) bool {
	switch verb {
	case "CREATE", "ALTER", "DROP", "TRUNCATE", "COMMENT", "GRANT", "REVOKE", "REINDEX", "ANALYZE":
		return true
	}
	return false
}

// A lexer finds the words of a statement: letters, digits and underscores
// outside of comments, strings and quoted names.
type lexer struct {
	rest  string
	depth int // of parentheses
}

// next returns the next word in upper case, "" at the end.
func (l *lexer) next() string {
	for l.rest != "" {
		if quoted := quotation(l.rest); quoted > 0 {
			l.rest = l.rest[quoted:]
			continue
		}
		r, size := utf8.DecodeRuneInString(l.rest)
		if !wordRune(r) {
			switch r {
			case '(':
				l.depth++
			case ')':
				l.depth--
			}
			l.rest = l.rest[size:]
			continue
		}
		end := strings.IndexFunc(l.rest, func(r rune) bool { return !wordRune(r) })
		if end < 0 {
			end = len(l.rest)
		}
		word := l.rest[:end]
		l.rest = l.rest[end:]
		return strings.ToUpper(word)
	}
	return ""
}

// verb returns the first word, or the one behind WITH and the queries that it
// names, which are in parentheses.
func (l *lexer) verb() string {
	verb := l.next()
	if verb == "WITH" {
		for verb != "" && !changing(verb) && verb != "SELECT" && verb != "VALUES" && verb != "TABLE" {
			verb = l.outer()
		}
	}
	return verb
}

// outer returns the next word outside of parentheses, "" at the end.
func (l *lexer) outer() string {
	for word := l.next(); word != ""; word = l.next() {
		if l.depth == 0 {
			return word
		}
	}
	return ""
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// quotation returns the length of the comment, string or quoted name that a
// text begins with, 0 if it begins with none. One without an end goes to the
// end of the text. A backslash is no escape, so that E'\\” of PostgreSQL ends
// early: what follows is then read as words, which returnsRows can bear.
func quotation(sql string) int {
	closing := func(open, end string) int {
		if !strings.HasPrefix(sql, open) {
			return 0
		}
		if i := strings.Index(sql[len(open):], end); i >= 0 {
			return len(open) + i + len(end)
		}
		return len(sql)
	}
	for _, q := range [][2]string{{"--", "\n"}, {"/*", "*/"}, {"'", "'"}, {`"`, `"`}, {"`", "`"}} {
		if n := closing(q[0], q[1]); n > 0 {
			return n
		}
	}
	if tag := dollarTag(sql); tag != "" {
		return closing(tag, tag)
	}
	return 0
}

// dollarTag returns the opening of PostgreSQL's $tag$…$tag$, or "". $1 is a
// placeholder.
func dollarTag(sql string) string {
	if sql[0] != '$' {
		return ""
	}
	end := strings.IndexByte(sql[1:], '$')
	if end < 0 {
		return ""
	}
	tag := sql[1 : end+1]
	if strings.IndexFunc(tag, func(r rune) bool { return !wordRune(r) }) >= 0 || tag != "" && unicode.IsDigit(rune(tag[0])) {
		return ""
	}
	return sql[:end+2]
}

func checkStatement(sql string) error {
	if sql == "" {
		return abi.Errorf("server.sql", abi.Invalid, "argument sql", "it is empty").
			WithHint("write one statement, such as %q", "select * from sched_task")
	}
	return nil
}
