package abi_test

import (
	"testing"

	"github.com/dbos-go/dbos/abi"
)

// TestKinds keeps the numbers, which are in journals and cross the wire: add
// lines, never change one.
func TestKinds(t *testing.T) {
	texts := map[string]bool{}
	for number, kind := range []abi.Kind{
		abi.Other, abi.Invalid, abi.NotFound, abi.Exists, abi.Conflict, abi.Denied, abi.Unauthenticated, abi.Exhausted, abi.Canceled,
		abi.Timeout, abi.Unavailable, abi.Closed, abi.Corrupt, abi.Unsupported, abi.Fenced, abi.Diverged, abi.Owned, abi.Trimmed, abi.Panicked, abi.Unknown,
	} {
		if int(kind) != number {
			t.Errorf("kind %q has become %d, it is %d in journals", kind, int(kind), number)
		}
		if text := kind.Error(); text == "" || texts[text] {
			t.Errorf("kind %d reads %q, which is empty or another one's", number, text)
		} else {
			texts[text] = true
		}
	}
	for _, unknown := range []abi.Kind{-1, 20, 1 << 30} {
		if got := unknown.Error(); got != "unknown kind of error" {
			t.Errorf("kind %d reads %q", int(unknown), got)
		}
	}
}
