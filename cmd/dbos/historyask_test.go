package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// asking returns a command with somebody who types.
func asking(typed io.Reader) (*cli, *bytes.Buffer) {
	var b bytes.Buffer
	return &cli{in: typed, out: &b, err: &b, now: func() time.Time { return noon }}, &b
}

func TestConfirm(t *testing.T) {
	for typed, ok := range map[string]bool{
		"yes\n": true, " yes \n": true, "yes": true, "y\n": false, "YES\n": false, "no\n": false, "\n": false, "": false, "yes please\n": false,
	} {
		c, b := asking(strings.NewReader(typed))
		err := c.confirm(t.Context(), "5 rows will change.")
		if (err == nil) != ok {
			t.Errorf("%q: got %v", typed, err)
		}
		if err != nil && (abi.KindOf(err) != abi.Canceled || !strings.Contains(err.Error(), "nothing was changed")) {
			t.Errorf("%q: got %v", typed, err)
		}
		if !strings.HasPrefix(b.String(), "5 rows will change. Type yes to do it: ") {
			t.Errorf("it asks %q", b.String())
		}
	}
}

// TestTwoQuestions types both answers at once.
func TestTwoQuestions(t *testing.T) {
	c, _ := asking(strings.NewReader("cascade\nyes\n"))
	if answer, err := c.ask(t.Context(), "?"); err != nil || answer != "cascade" {
		t.Errorf("got %q, %v", answer, err)
	}
	if err := c.confirm(t.Context(), "?"); err != nil {
		t.Error(err)
	}
}

func TestInterruptedQuestion(t *testing.T) {
	r, w := io.Pipe() // nobody types
	defer w.Close()
	c, b := asking(r)
	ctx, stop := context.WithCancelCause(t.Context())
	cause := errors.New("interrupted")
	stop(cause)
	if err := c.confirm(ctx, "?"); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(b.String(), "nothing was changed") {
		t.Errorf("it prints %q", b.String())
	}
}

func TestConsent(t *testing.T) {
	c, _ := asking(strings.NewReader("")) // no terminal
	for _, tt := range []struct {
		o  consent
		ok bool
	}{
		{consent{}, false}, {consent{yes: true}, true}, {consent{dryRun: true}, true}, {consent{yes: true, dryRun: true}, false},
	} {
		if err := tt.o.check(c); (err == nil) != tt.ok || err != nil && exitCode(err) != exitUsage {
			t.Errorf("%+v: got %v", tt.o, err)
		}
	}
}

func TestUndoText(t *testing.T) {
	target := &dbosv1.UndoTarget{
		Runs: []string{"a", "it's"}, Principal: "token:m", Since: "16 minutes ago", Policy: dbosv1.UndoPolicy_UNDO_POLICY_ONLY_UNTOUCHED,
	}
	if got, want := undoText(target), `dbos undo a 'it'\''s' --principal token:m --since '16 minutes ago' --policy only-untouched`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPolicies(t *testing.T) {
	for _, name := range policyNames() {
		number, err := parsePolicy(name)
		if err != nil || policyName(number) != name {
			t.Errorf("%s is %v (%v)", name, number, err)
		}
	}
	if _, err := parsePolicy("Cascade"); exitCode(err) != exitUsage {
		t.Errorf("got %v", err)
	}
}

// TestTracker shows nothing at first, and leaves no line behind.
func TestTracker(t *testing.T) {
	c, b := asking(nil)
	tr := newTracker(c, screen{terminal: true, width: 20}, "restoring")
	tr.show(&dbosv1.Progress{Phase: "copying", Subject: "orders", Done: 1, Total: 2})
	tr.print(patience / 2)
	if b.Len() > 0 {
		t.Errorf("it printed %q at once", b.String())
	}
	tr.print(patience)
	go tr.run()
	tr.end()
	if got, want := b.String(), "\rrestoring: copying…\x1b[K\r\x1b[K"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
