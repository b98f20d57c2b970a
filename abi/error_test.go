package abi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/dbos-go/dbos/abi"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  *abi.Error
		want string
	}{
		{&abi.Error{Op: "sched.cancel", Kind: abi.NotFound, Resource: `run "x"`, Err: io.EOF}, `sched.cancel: run "x": EOF`},
		{&abi.Error{Op: "sched.cancel", Kind: abi.NotFound, Resource: `run "x"`}, `sched.cancel: run "x": not found`},
		{&abi.Error{Kind: abi.Closed}, "closed"},
		{&abi.Error{Op: "a", Err: io.EOF}, "a: EOF"},
		{&abi.Error{Resource: "r", Kind: abi.Denied}, "r: permission denied"},
		{abi.Errorf("a", abi.Invalid, "r", "%d is %w", 5, io.EOF).WithHint("use %d", 4), "a: r: 5 is EOF"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%#v reads %q, want %q", c.err, got, c.want)
		}
	}
}

func TestErrorChain(t *testing.T) {
	inner := abi.Errorf("inner", abi.Timeout, "i", "%w", io.ErrUnexpectedEOF)
	outer := abi.Errorf("outer", abi.Unavailable, "o", "while closing: %w", inner)
	wrapped := fmt.Errorf("wrapped: %w", outer)
	for _, target := range []error{abi.Unavailable, abi.Timeout, io.ErrUnexpectedEOF, inner, outer} {
		if !errors.Is(wrapped, target) {
			t.Errorf("%v is not %v", wrapped, target)
		}
	}
	for _, target := range []error{abi.Other, abi.Closed, io.EOF} {
		if errors.Is(wrapped, target) {
			t.Errorf("%v is %v", wrapped, target)
		}
	}
	if e, ok := errors.AsType[*abi.Error](wrapped); !ok || e != outer {
		t.Errorf("the outermost Error of the chain is %v, want %v", e, outer)
	}
	if kind := abi.KindOf(wrapped); kind != abi.Unavailable {
		t.Errorf("KindOf gives %q, want that of the outermost", kind)
	}
}

func TestKindOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want abi.Kind
	}{
		{nil, abi.Other}, {io.EOF, abi.Other}, {context.Canceled, abi.Canceled}, {context.DeadlineExceeded, abi.Timeout},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), abi.Timeout}, {errors.Join(io.EOF, context.Canceled), abi.Canceled},
		{abi.Errorf("a", abi.Fenced, "", "%w", context.Canceled), abi.Fenced}, {errors.Join(io.EOF, abi.Errorf("a", abi.Owned, "", "x")), abi.Owned},
	} {
		if got := abi.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}

func TestHintOf(t *testing.T) {
	low := abi.Errorf("low", abi.Invalid, "", "x").WithHint("do %s", "this")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""}, {io.EOF, ""}, {abi.Errorf("a", abi.Invalid, "", "x"), ""}, {low, "do this"},
		{fmt.Errorf("x: %w", abi.Errorf("a", abi.Invalid, "", "y: %w", low)), "do this"},
		{abi.Errorf("a", abi.Invalid, "", "%w", low).WithHint("do that"), "do that"},
	} {
		if got := abi.HintOf(c.err); got != c.want {
			t.Errorf("HintOf(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
