package pgwire

import (
	"slices"
	"strings"
	"testing"
)

func TestLex(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"SELECT 'it''s', \"a\"\"b\" -- c;\n/* ; /* ; */ */ FROM t", []string{"SELECT", "'it''s'", ",", `"a""b"`, "FROM", "t"}},
		{`E'a\'b' 'a\' x'00' U&'\0041' b'1'`, []string{`E'a\'b'`, `'a\'`, "x'00'", `U&'\0041'`, "b'1'"}},
		{"$1+$12 $$a;'$$ $t$ $$ ; $t$ $name", []string{"$1", "+", "$12", "$$a;'$$", "$t$ $$ ; $t$", "$name"}},
		{"a::int[] b:=1 2*-1 3e-5 .5 1.5e10 x->>'y' a!~*'b' {'k':1}", []string{"a", "::", "int", "[", "]", "b", ":=", "1", "2", "*", "-", "1", "3e-5", ".5",
			"1.5e10", "x", "->>", "'y'", "a", "!~*", "'b'", "{", "'k'", ":", "1", "}"}},
		{"a--b", []string{"a"}}, {"a+/*x*/b", []string{"a", "+", "b"}},
		{"'never ends", []string{"'never ends"}}, {"/* never ends", nil}, {`"x`, []string{`"x`}}, {"$q$ x", []string{"$q$ x"}}, {"é$1", []string{"é$1"}},
	} {
		var got []string
		for _, token := range lex(tt.text) {
			got = append(got, token.text)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil}, {" ;; -- nothing\n;", nil},
		{"select 1", []string{"select 1"}},
		{"select ';'; -- ;\n select 2 ;", []string{"select ';'", "select 2"}},
		{"select $$;$$; /* ; */ x", []string{"select $$;$$", "x"}},
	} {
		var got []string
		for _, st := range split(tt.text) {
			got = append(got, st.text)
			if !strings.HasPrefix(string([]rune(tt.text)[st.before:]), st.text) {
				t.Errorf("%q: %q does not begin at %d", tt.text, st.text, st.before)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestFinished(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
		rest string
	}{
		{"select 1", nil, "select 1"}, {"select 1;", []string{"select 1"}, ""}, {"a; b;\nc ';", []string{"a", " b"}, "\nc ';"},
		{";;", nil, ""}, {"select ';", nil, "select ';"}, {"/* ; ", nil, "/* ; "},
	} {
		got, rest := Finished(tt.text)
		if !slices.Equal(got, tt.want) || rest != tt.rest {
			t.Errorf("%q: got %q and %q, want %q and %q", tt.text, got, rest, tt.want, tt.rest)
		}
	}
}

// FuzzLex holds every token to its place, with nothing but blanks and comments
// between.
func FuzzLex(f *testing.F) {
	for _, seed := range []string{"SELECT 'a' -- b\n/* c */ $$d$$", "E'\\'", "a::b[1]", "\"\x00é\" $1 $", "U&'x' 1e+", "'''", "/*/**/", "--", "+-/*-*/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, token := range lex(text) {
			if token.pos < end || token.text == "" || !strings.HasPrefix(text[token.pos:], token.text) {
				t.Fatalf("%q: token %q at %d, after %d", text, token.text, token.pos, end)
			}
			if between := strings.TrimSpace(text[end:token.pos]); between != "" && !strings.HasPrefix(between, "--") && !strings.HasPrefix(between, "/*") {
				t.Fatalf("%q: %q is no token", text, between)
			}
			end = token.end()
		}
		for _, st := range split(text) {
			if again := split(st.text); len(again) != 1 || again[0].text != st.text {
				t.Fatalf("%q: %q is not one statement", text, st.text)
			}
		}
	})
}
