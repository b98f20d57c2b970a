package postgres

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// A token is a piece of SQL source text, as PostgreSQL's lexer cuts it
// (documentation, section 4.1), as far as the engine needs to tell.
type token struct {
	kind tokenKind
	text string // of a word in lower case, of a quoted name without quotes
	at   int    // position in the source
}

type tokenKind int

const (
	tokenWord        tokenKind = iota // keyword or name
	tokenName                         // quoted name
	tokenPlaceholder                  // $1
	tokenSemicolon
	tokenOther // literals, numbers, operators
)

// scan calls visit for each token until it returns false. Comments and white
// space are no tokens. What is not closed ends with the source.
func scan(sql string, visit func(token) bool) {
	for i := 0; i < len(sql); {
		n, tok := lex(sql, i)
		if tok != nil && !visit(*tok) {
			return
		}
		i += n
	}
}

// lex returns the length of what begins at i, and its token if it is one.
func lex(sql string, i int) (int, *token) {
	c, rest := sql[i], sql[i:]
	switch {
	case c == ' ' || c >= '\t' && c <= '\r':
		return 1, nil
	case strings.HasPrefix(rest, "--"):
		return through(rest, "\n", 2), nil
	case strings.HasPrefix(rest, "/*"):
		return comment(rest), nil
	case c == ';':
		return 1, &token{kind: tokenSemicolon, at: i}
	case c == '\'':
		return literal(rest, false), &token{kind: tokenOther, at: i}
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		return 1 + literal(rest[1:], true), &token{kind: tokenOther, at: i}
	case c == '"':
		n := quoted(rest)
		name := strings.ReplaceAll(strings.Trim(rest[:n], `"`), `""`, `"`)
		return n, &token{kind: tokenName, text: name, at: i}
	case c == '$':
		return dollar(rest, i)
	case wordStart(c):
		n := 1
		for n < len(rest) && (wordStart(rest[n]) || digit(rest[n]) || rest[n] == '$') {
			n++
		}
		return n, &token{kind: tokenWord, text: strings.ToLower(rest[:n]), at: i}
	case digit(c):
		n := 1
		for n < len(rest) && (wordStart(rest[n]) || digit(rest[n]) || rest[n] == '.') {
			n++
		}
		return n, &token{kind: tokenOther, at: i}
	}
	return 1, &token{kind: tokenOther, text: rest[:1], at: i}
}

func wordStart(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// through is the length up to and with an end that is looked for from a
// position on.
func through(s, end string, from int) int {
	if at := strings.Index(s[from:], end); at >= 0 {
		return from + at + len(end)
	}
	return len(s)
}

// comment is the length of a /* comment */, which may hold others.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth, i = depth+1, i+2
		case strings.HasPrefix(s[i:], "*/"):
			depth, i = depth-1, i+2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return len(s)
}

// literal is the length of a string literal; in an E'…' a backslash escapes.
func literal(s string, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && escapes:
			i++
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == '\'':
			return i + 1
		}
	}
	return len(s)
}

func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			i++
			continue
		}
		return i + 1
	}
	return len(s)
}

// dollar is a placeholder, a $tag$literal$tag$, or the character itself.
func dollar(s string, at int) (int, *token) {
	n := 1
	for n < len(s) && digit(s[n]) {
		n++
	}
	if n > 1 {
		return n, &token{kind: tokenPlaceholder, text: s[1:n], at: at}
	}
	for n < len(s) && (wordStart(s[n]) || digit(s[n])) {
		n++
	}
	if n < len(s) && s[n] == '$' {
		tag := s[:n+1]
		return through(s, tag, len(tag)), &token{kind: tokenOther, at: at}
	}
	return 1, &token{kind: tokenOther, text: "$", at: at}
}

// firstWord is the statement's first keyword, in lower case.
func firstWord(sql string) (word string) {
	scan(sql, func(t token) bool {
		if t.kind == tokenWord {
			word = t.text
		}
		return t.kind == tokenOther && t.text == "(" // (SELECT …)
	})
	return word
}

// placeholders is the greatest n of $n.
func placeholders(sql string) int {
	most := 0
	scan(sql, func(t token) bool {
		if t.kind == tokenPlaceholder {
			if n, err := strconv.Atoi(t.text); err == nil {
				most = max(most, n)
			}
		}
		return true
	})
	return most
}

// statements cuts a script at its semicolons. Pieces without a token are left
// out. The body of a CREATE FUNCTION in the style of the SQL standard (BEGIN
// ATOMIC … END) is not cut.
func statements(script string) []string {
	var list []string
	begin, some, depth := 0, false, 0
	last := ""
	scan(script, func(t token) bool {
		switch {
		case t.kind == tokenSemicolon && depth == 0:
			if some {
				list = append(list, script[begin:t.at])
			}
			begin, some = t.at+1, false
		case t.kind == tokenWord && (t.text == "atomic" && last == "begin" || t.text == "case" && depth > 0):
			depth++
			some = true
		case t.kind == tokenWord && t.text == "end" && depth > 0:
			depth--
		default:
			some = true
		}
		last = t.text
		return true
	})
	if some {
		list = append(list, script[begin:])
	}
	return list
}
