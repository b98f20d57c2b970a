package pgwire

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// A statement is one of those that a text holds.
type statement struct {
	text   string // without the semicolon and what is around
	before int    // characters of the client's text before it
	tokens []token
	// rewritten says that the text is not the client's own, so that positions
	// in it mean nothing.
	rewritten bool
	// verb is the first word, in lower case: "select". A query in parentheses
	// begins with "(".
	verb string
}

// split cuts a text at its semicolons. Empty statements are left out.
func split(text string) []*statement {
	var list []*statement
	var tokens []token
	add := func() {
		if len(tokens) == 0 {
			return
		}
		first, last := tokens[0], tokens[len(tokens)-1]
		st := &statement{text: text[first.pos:last.end()], before: utf8.RuneCountInString(text[:first.pos])}
		st.verb = first.text
		if first.kind == identToken {
			st.verb = first.value
		}
		for _, t := range tokens {
			t.pos -= first.pos
			st.tokens = append(st.tokens, t)
		}
		list, tokens = append(list, st), nil
	}
	for _, t := range lex(text) {
		if t.op(";") {
			add()
			continue
		}
		tokens = append(tokens, t)
	}
	add()
	return list
}

// parameters returns how many parameters the statement has: the highest
// number of one.
func (st *statement) parameters() int {
	n := 0
	for _, t := range st.tokens {
		if t.kind == paramToken {
			if i, err := strconv.Atoi(t.value); err == nil && i <= 1<<16 {
				n = max(n, i)
			}
		}
	}
	return n
}

// reading are the verbs that the source is asked to run. What a statement with
// one of them does is for the source to judge.
var reading = []string{"select", "from", "with", "values", "table", "(", "explain", "describe", "desc", "summarize", "show", "pivot", "unpivot"}

func (st *statement) reads() bool { return slices.Contains(reading, st.verb) && st.hidden() == "" }

// hidden returns the verb of a statement that changes something behind its
// first words: WITH … INSERT, EXPLAIN ANALYZE DELETE.
func (st *statement) hidden() string {
	if st.verb != "with" && st.verb != "explain" {
		return ""
	}
	depth := 0
	for i, t := range st.tokens {
		switch {
		case t.op("("):
			depth++
		case t.op(")"):
			depth--
		case depth == 0 && i > 0 && slices.Contains(writing, t.value) && t.kind == identToken:
			if before := st.tokens[i-1]; before.op(")") || before.is("explain", "analyze", "verbose") && !t.is("analyze") {
				return t.value
			}
		}
	}
	return ""
}

// describable reports whether DESCRIBE may stand before the statement.
func (st *statement) describable() bool {
	return st.reads() && !slices.Contains([]string{"explain", "describe", "desc", "summarize", "show"}, st.verb)
}

// writing are the verbs of PostgreSQL and DuckDB that change something, here or
// outside.
var writing = []string{
	"insert", "update", "delete", "merge", "create", "drop", "alter", "truncate", "grant", "revoke", "vacuum", "analyze", "analyse",
	"comment", "lock", "refresh", "reindex", "cluster", "import", "export", "attach", "detach", "install", "load", "call", "do", "pragma",
	"checkpoint", "use", "notify", "security", "reassign", "force", "update_extensions",
}

// tag is what a completed query is called.
func (st *statement) tag() string {
	switch st.verb {
	case "explain", "show":
		return map[string]string{"explain": "EXPLAIN", "show": "SHOW"}[st.verb]
	}
	return "SELECT"
}
