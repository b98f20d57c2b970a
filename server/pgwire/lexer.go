package pgwire

import (
	"strings"
	"unicode/utf8"
)

// A token is a piece of a statement. Blanks and comments are none, but every
// token knows where it stands.
type token struct {
	kind tokenKind
	// text as it is written.
	text string
	// value is the name of an identifier, in lower case unless it was quoted,
	// or what is between the quotes of a string.
	value string
	pos   int // in bytes
}

func (t token) end() int { return t.pos + len(t.text) }

// is reports a keyword: an identifier that is not quoted.
func (t token) is(words ...string) bool {
	if t.kind != identToken {
		return false
	}
	for _, word := range words {
		if t.value == word {
			return true
		}
	}
	return false
}

// op reports an operator or punctuation mark.
func (t token) op(text string) bool { return t.kind == opToken && t.text == text }

type tokenKind int

const (
	identToken  tokenKind = iota // a word that is not quoted: a keyword or name
	quotedToken                  // "name"
	stringToken                  // 'text', E'text', $$text$$
	numberToken
	paramToken // $1; value is the number
	opToken
)

const operatorChars = "+-*/<>=~!@#%^&|`?"

// lex cuts a text into tokens as DuckDB does, whose lexer is PostgreSQL's. What is
// not finished (a string, a comment) ends with the text.
func lex(text string) []token {
	var tokens []token
	for i := 0; i < len(text); {
		t := token{pos: i}
		c := text[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			i++
			continue
		case strings.HasPrefix(text[i:], "--"):
			i += lineEnd(text[i:])
			continue
		case strings.HasPrefix(text[i:], "/*"):
			i += commentEnd(text[i:])
			continue
		case c == '\'':
			t.kind = stringToken
			i, t.value = quotedEnd(text, i, '\'', false)
		case c == '"':
			t.kind = quotedToken
			i, t.value = quotedEnd(text, i, '"', false)
		case c == '$':
			i = lexDollar(text, i, &t)
		case c >= '0' && c <= '9', c == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9':
			t.kind = numberToken
			i = numberEnd(text, i)
			t.value = text[t.pos:i]
		case wordStart(c):
			i = lexWord(text, i, &t)
		default:
			t.kind = opToken
			i = operatorEnd(text, i)
		}
		t.text = text[t.pos:i]
		tokens = append(tokens, t)
	}
	return tokens
}

// lineEnd returns where the first line ends.
func lineEnd(text string) int {
	if n := strings.IndexAny(text, "\n\r"); n >= 0 {
		return n
	}
	return len(text)
}

// commentEnd returns the length of a comment, in which others may be.
func commentEnd(text string) int {
	depth := 0
	for i := 0; i < len(text); {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return len(text)
}

// quotedEnd returns where the quoted text that begins at i ends, and what it
// says. A doubled quote is one; with escapes, so is one after a backslash.
func quotedEnd(text string, i int, quote byte, escapes bool) (int, string) {
	var b strings.Builder
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case escapes && c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(unescape(text[i]))
		case c == quote && i+1 < len(text) && text[i+1] == quote:
			i++
			b.WriteByte(quote)
		case c == quote:
			return i + 1, b.String()
		default:
			b.WriteByte(c)
		}
	}
	return i, b.String()
}

// unescape returns what a letter after a backslash stands for. Numeric escapes
// are not decoded: only the end of such a string matters here.
func unescape(c byte) byte {
	if i := strings.IndexByte("bfnrt", c); i >= 0 {
		return "\b\f\n\r\t"[i]
	}
	return c
}

// lexDollar reads $1, $name or $tag$text$tag$.
func lexDollar(text string, i int, t *token) int {
	j := i + 1
	for j < len(text) && wordPart(text[j]) && text[j] != '$' {
		j++
	}
	name := text[i+1 : j]
	digit := name != "" && name[0] >= '0' && name[0] <= '9'
	if j < len(text) && text[j] == '$' && !digit {
		tag := text[i : j+1]
		t.kind = stringToken
		if n := strings.Index(text[j+1:], tag); n >= 0 {
			t.value = text[j+1 : j+1+n]
			return j + 1 + n + len(tag)
		}
		t.value = text[j+1:]
		return len(text)
	}
	if name == "" {
		t.kind = opToken
		return j
	}
	if digit {
		for j = i + 1; j < len(text) && text[j] >= '0' && text[j] <= '9'; j++ {
		}
	}
	t.kind, t.value = paramToken, text[i+1:j]
	return j
}

func numberEnd(text string, i int) int {
	for i < len(text) {
		c := text[i]
		exponent := (c == '+' || c == '-') && (text[i-1] == 'e' || text[i-1] == 'E')
		if !wordPart(c) && c != '.' && !exponent || c == '$' {
			break
		}
		i++
	}
	return i
}

func wordStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}

func wordPart(c byte) bool { return wordStart(c) || c >= '0' && c <= '9' || c == '$' }

// lexWord reads a word, or a string with a letter before it: E'…', X'…', U&'…'.
func lexWord(text string, i int, t *token) int {
	j := i + 1
	for j < len(text) && wordPart(text[j]) {
		j++
	}
	t.kind, t.value = identToken, strings.ToLower(text[i:j])
	if len(t.value) == 1 && j < len(text) {
		switch {
		case text[j] == '\'' && strings.Contains("ebxn", t.value):
			t.kind = stringToken
			j, t.value = quotedEnd(text, j, '\'', t.value == "e")
		case t.value == "u" && strings.HasPrefix(text[j:], "&'"):
			t.kind = stringToken
			j, t.value = quotedEnd(text, j+1, '\'', false)
		case t.value == "u" && strings.HasPrefix(text[j:], "&\""):
			t.kind = quotedToken
			j, t.value = quotedEnd(text, j+1, '"', false)
		}
	}
	return j
}

// operatorEnd returns where an operator or punctuation mark ends.
func operatorEnd(text string, i int) int {
	if strings.HasPrefix(text[i:], "::") || strings.HasPrefix(text[i:], ":=") {
		return i + 2
	}
	j := i
	for j < len(text) && strings.IndexByte(operatorChars, text[j]) >= 0 {
		if rest := text[j:]; j > i && (strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "/*")) {
			break
		}
		j++
	}
	// An operator of several marks does not end with a sign, unless it has one
	// of those that make it one: -1 in 2*-1 is a number.
	for j-i > 1 && (text[j-1] == '+' || text[j-1] == '-') && !strings.ContainsAny(text[i:j], "~!@#%^&|`?") {
		j--
	}
	return max(j, i+1)
}
