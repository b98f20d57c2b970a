package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/google/go-cmp/cmp"
)

func generated(t *testing.T, n int) []Order {
	t.Helper()
	var text bytes.Buffer
	if err := generateOrders(&text, n); err != nil {
		t.Fatal(err)
	}
	orders, err := parseOrders("generated", text.Bytes(), testCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	return orders
}

func TestBatch(t *testing.T) {
	s := newShop(t)
	orders := generated(t, 200)
	first, err := runBatch(t.Context(), s, "f", orders, 16, &lines{out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range first.Outcomes {
		total += n
	}
	if total != 200 || first.Earlier != 0 || first.Outcomes[Confirmed] == 0 || first.Outcomes[Declined] == 0 || first.verdict() != nil {
		t.Errorf("summary %+v", first)
	}
	if first.Charges != first.Outcomes[Confirmed] {
		t.Errorf("%d charges for %d confirmed orders", first.Charges, first.Outcomes[Confirmed])
	}
	again, err := runBatch(t.Context(), s, "f", orders, 16, &lines{out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if again.Earlier != 200 || !cmp.Equal(again.Outcomes, first.Outcomes) || again.Charges != first.Charges {
		t.Errorf("the same file again: %+v, want as before: %+v", again, first)
	}
}

func TestBatchReportsWhatIsWrong(t *testing.T) {
	s := newShop(t)
	orders := generated(t, 3)
	if _, err := runBatch(t.Context(), s, "f", orders, 2, &lines{out: t.Output()}); err != nil {
		t.Fatal(err)
	}
	orders[1].Quantity = 50 // another order with an ID that is taken
	sum, err := runBatch(t.Context(), s, "f", orders, 2, &lines{out: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(sum.verdict(), errBatch) || sum.Outcomes[failed] != 1 || len(sum.Failed) != 1 || !strings.Contains(sum.Failed[0], orders[1].ID) {
		t.Errorf("summary %+v", sum)
	}
}

func TestBatchStops(t *testing.T) {
	s := newShop(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := runBatch(ctx, s, "f", generated(t, 50), 4, &lines{out: t.Output()}); !errors.Is(err, context.Canceled) {
		t.Errorf("runBatch: %v, want context.Canceled", err)
	}
}

func TestSummary(t *testing.T) {
	sum := Summary{
		File: "f", Orders: 3, Earlier: 1, Outcomes: map[string]int{Confirmed: 2, failed: 1}, Failed: []string{"order x: why"}, Seconds: 2, PerSecond: 1,
		Audit: Audit{Stock: []string{"mug: gone"}, Charges: 2, Charged: 250},
	}
	var text, js bytes.Buffer
	if err := errors.Join(sum.writeText(&text), sum.writeJSON(&js)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 orders of f", "1 finished before", "order x: why", "WRONG: mug: gone", "2 charges over €2.50", "1 orders/s"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the summary has no %q:\n%s", want, &text)
		}
	}
	var back Summary
	if err := json.Unmarshal(js.Bytes(), &back); err != nil || !cmp.Equal(back, sum) {
		t.Errorf("as JSON: %v\n%s", err, &js)
	}
}

// A bad file is told in full, and nothing is started or placed.
func TestBadFileChangesNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f.jsonl")
	if err := os.WriteFile(file, []byte(goodLine+"\n{\n[]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := runShop(t.Context(), []string{"-data", filepath.Join(dir, "data"), "-orders", file})
	if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), file+":2: ") {
		t.Errorf("runShop: %v, want an error at %s:2", err, file)
	}
	var told bytes.Buffer
	report(&told, err)
	if strings.Count(told.String(), "shop: ") != 2 || strings.Count(told.String(), "hint: ") != 2 {
		t.Errorf("people are told %q", &told)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "payments.jsonl")); !os.IsNotExist(err) {
		t.Errorf("the payment service was started: %v", err)
	}
	s := launchShop(t, dir, "127.0.0.1:1")
	if runs, err := s.sys.Runs(t.Context(), dbos.Filter{}); err != nil || len(runs) != 0 {
		t.Errorf("runs %v, %v", runs, err)
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	p := &lines{out: &out}
	p.start(3)
	p.step()
	for range 2 {
		p.last = p.last.Add(-lineInterval)
		p.step()
	}
	p.end()
	if got := fmt.Sprint(&out); got != "2 of 3 orders\n3 of 3 orders\n" {
		t.Errorf("lines %q", got)
	}
}
