package abi_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/dbos-go/dbos/abi"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", " ", "shop.reserve", "Ünï code", strings.Repeat("x", abi.MaxName), "'; --", "\u2028"} {
		if err := abi.CheckName("op", "queue", name); err != nil {
			t.Errorf("CheckName(%q): %v", name, err)
		}
	}
	for _, name := range []string{"", "\n", "a\x00", "a\x7f", "\u0085", "\xff", "a\xc3", strings.Repeat("x", abi.MaxName+1)} {
		err := abi.CheckName("op", "queue", name)
		e, ok := errors.AsType[*abi.Error](err)
		if !ok || e.Kind != abi.Invalid || e.Op != "op" || e.Resource != "queue name" {
			t.Errorf("CheckName(%q) = %v, want an Error of kind Invalid on the queue name", name, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	f.Add("a")
	f.Add("\u0085")
	f.Fuzz(func(t *testing.T, name string) {
		good := name != "" && len(name) <= abi.MaxName && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsControl) < 0
		err := abi.CheckName("op", "run", name)
		if good != (err == nil) {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
		if err != nil && (!utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), unicode.IsControl)) {
			t.Errorf("the error's text cannot be shown: %q", err)
		}
	})
}
