package transfer

import (
	"strings"
	"unicode"
)

// checksOf returns the conditions of the CHECK clauses in a CREATE TABLE
// statement, which no catalog of SQLite has.
func checksOf(definition string) []string {
	var checks []string
	for i := 0; i < len(definition); {
		if n := skipped(definition[i:]); n > 0 {
			i += n
			continue
		}
		word := wordAt(definition[i:])
		if word == "" {
			i++
			continue
		}
		i += len(word)
		if !strings.EqualFold(word, "CHECK") {
			continue
		}
		open := i + strings.IndexByte(definition[i:], '(')
		if open < i || strings.TrimSpace(definition[i:open]) != "" {
			continue
		}
		end := closing(definition, open)
		checks = append(checks, strings.TrimSpace(definition[open+1:end]))
		i = end
	}
	return checks
}

// closing returns the place of the parenthesis that closes the one at open.
func closing(s string, open int) int {
	depth := 0
	for i := open; i < len(s); {
		if n := skipped(s[i:]); n > 0 {
			i += n
			continue
		}
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
		i++
	}
	return len(s)
}

// skipped returns the length of the comment, string or quoted name that s
// begins with.
func skipped(s string) int {
	for _, q := range [][2]string{{"--", "\n"}, {"/*", "*/"}, {"'", "'"}, {`"`, `"`}, {"`", "`"}, {"[", "]"}} {
		if !strings.HasPrefix(s, q[0]) {
			continue
		}
		if end := strings.Index(s[len(q[0]):], q[1]); end >= 0 {
			return len(q[0]) + end + len(q[1])
		}
		return len(s)
	}
	return 0
}

func wordAt(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if end < 0 {
		return s
	}
	return s[:end]
}
