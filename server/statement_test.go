package server

import (
	"strings"
	"testing"
)

func TestFirstWord(t *testing.T) {
	for sql, want := range map[string]string{
		"select 1":                          "SELECT",
		"":                                  "",
		" \t\r\n;;  Insert into t":          "INSERT",
		"-- a comment\n--\nupdate t":        "UPDATE",
		"-- without an end":                 "",
		"/* one */ /* two\n*/delete from t": "DELETE",
		"/* without an end":                 "",
		"with(x) as (select 1) select 1":    "WITH",
		"(select 1)":                        "",
		"-1":                                "",
	} {
		if got := firstWord(sql); got != want {
			t.Errorf("%q begins with %q, want %q", sql, got, want)
		}
	}
}

func FuzzFirstWord(f *testing.F) {
	f.Add("/**/--\n;select")
	f.Add("/*/*/")
	f.Fuzz(func(t *testing.T, sql string) {
		if word := firstWord(sql); !strings.Contains(strings.ToUpper(sql), word) {
			t.Errorf("%q does not contain its first word %q", sql, word)
		}
	})
}
