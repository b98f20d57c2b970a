package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dbos-go/dbos/server/pgwire"
)

// words are what Tab completes to.
type words struct {
	tables []pgwire.Table
	loaded time.Time
}

// keywords are those that people type often.
var keywords = strings.Fields(`all and as asc at between by case cast count cross current_timestamp desc describe distinct else end except
	exists explain false from full group having ilike in inner intersect interval is join left like limit max min not null offset on
	or order outer over partition pivot qualify right select show sum summarize table tables then timestamp true union using values
	when where window with`)

// wordsAge is how long the tables are not asked for again.
const wordsAge = 10 * time.Second

// refresh asks for the tables, for completion. Where that fails there are
// keywords only.
func (sh *shell) refresh() []pgwire.Table {
	if sh.o.engine || time.Since(sh.words.loaded) < wordsAge {
		return sh.words.tables
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if list, err := pgwire.Tables(ctx, throughDoor{sh.s.Client}, sh.o.at); err == nil {
		sh.words.tables = list
	}
	sh.words.loaded = time.Now()
	return sh.words.tables
}

// complete implements the terminal's completion: what is before the cursor is
// completed as far as there is only one way, and what there is is listed
// otherwise.
func (sh *shell) complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	begin := strings.LastIndexFunc(line[:pos], func(r rune) bool { return strings.ContainsRune(" \t(),;=<>+*/", r) }) + 1
	typed := line[begin:pos]
	found := candidates(sh.refresh(), sh.begun+" "+line, line[:begin], typed)
	if len(found) == 0 {
		return line, pos, true
	}
	common := found[0]
	for _, word := range found[1:] {
		common = commonPrefix(common, word)
	}
	if len(found) == 1 && !strings.HasSuffix(common, ".") {
		common += " "
	}
	if len(common) <= len(typed) {
		fmt.Fprintln(sh.terminal, sh.screen.paint(strings.Join(found, "  "), dim))
		return line, pos, true
	}
	return line[:begin] + common + line[pos:], begin + len(common), true
}

// commonPrefix is what two words begin with, whatever the case of their letters.
func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && strings.EqualFold(a[n:n+1], b[n:n+1]) {
		n++
	}
	return a[:n]
}

// candidates returns the words that begin with what was typed: the shell's
// commands, tables, columns of tables that the statement names, keywords.
func candidates(tables []pgwire.Table, statement, before, typed string) []string {
	var list []string
	add := func(words ...string) {
		for _, word := range words {
			if len(word) >= len(typed) && strings.EqualFold(word[:len(typed)], typed) && !slices.Contains(list, word) {
				list = append(list, word)
			}
		}
	}
	if strings.HasPrefix(typed, `\`) {
		for _, command := range shellCommands {
			add(strings.Fields(command[0])[0])
		}
		return list
	}
	statement = strings.ToLower(statement)
	schema, _, qualified := strings.Cut(typed, ".")
	for _, t := range tables {
		switch {
		case t.Schema == "main" && !qualified:
			add(sqlName(t.Name))
		case t.Schema != "main" && qualified && strings.EqualFold(t.Schema, schema):
			add(t.Schema + "." + sqlName(t.Name))
		case t.Schema != "main":
			add(t.Schema + ".")
		}
		if !qualified && strings.Contains(statement, strings.ToLower(t.Name)) {
			for _, c := range t.Columns {
				add(sqlName(c.Name))
			}
		}
	}
	if typed != "" && !qualified && !strings.HasPrefix(strings.TrimSpace(before), `\`) {
		for _, word := range keywords {
			if typed == strings.ToUpper(typed) {
				word = strings.ToUpper(word)
			}
			add(word)
		}
	}
	slices.Sort(list)
	return list
}

// sqlName writes a name as a statement needs it: in quotes if it is not a
// plain word.
func sqlName(name string) string {
	plain := name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" && (name[0] > '9' || name[0] < '0')
	if plain && name != "at" {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
