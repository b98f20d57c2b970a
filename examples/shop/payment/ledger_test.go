package payment

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/google/go-cmp/cmp"
)

const (
	pays     = "4242424242424242"
	declined = "4000000000000002"
)

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := OpenLedger(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func entries(t *testing.T, path string) []Entry {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := ReadLedger(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOneKeyIsOneCharge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	request := Request{Key: "k1", Order: "o1", Card: pays, Amount: 500}
	first, err := l.Charge(request)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if again, err := l.Charge(request); err != nil || again != first {
				t.Errorf("again: %+v, %v; want %+v", again, err, first)
			}
		})
	}
	wg.Wait()
	l.Close()
	if again, err := open(t, path).Charge(request); err != nil || !cmp.Equal(again, first) {
		t.Errorf("after reopening: %+v, %v; want %+v", again, err, first)
	}
	if list := entries(t, path); len(list) != 1 {
		t.Errorf("the ledger has %d entries: %+v", len(list), list)
	}
}

func TestTwoKeysAreTwoCharges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	for _, key := range []string{"k1", "k2"} {
		if _, err := l.Charge(Request{Key: key, Order: "o1", Card: pays, Amount: 500}); err != nil {
			t.Fatal(err)
		}
	}
	if list := entries(t, path); len(list) != 2 {
		t.Errorf("a double charge must show; the ledger has %+v", list)
	}
}

func TestKeyForAnotherCharge(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger"))
	first := Request{Key: "k1", Order: "o1", Card: pays, Amount: 500}
	if _, err := l.Charge(first); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Request){
		"amount": func(r *Request) { r.Amount++ },
		"order":  func(r *Request) { r.Order = "o2" },
		"card":   func(r *Request) { r.Card = declined },
	} {
		other := first
		change(&other)
		if _, err := l.Charge(other); !errors.Is(err, abi.Exists) {
			t.Errorf("another %s under the same key: %v, want abi.Exists", name, err)
		}
	}
}

func TestDeclineIsRemembered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	for range 2 {
		e, err := l.Charge(Request{Key: "k1", Order: "o1", Card: declined, Amount: 500})
		if err != nil || e.Op != Refused || e.Seq != 1 {
			t.Errorf("%+v, %v; want entry 1, a decline", e, err)
		}
	}
}

func TestVoid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	charge := Request{Key: "k1", Order: "o1", Card: pays, Amount: 500}
	if _, err := l.Charge(charge); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"v1", "v1", "v2"} {
		if e, err := l.Void(key, "o1"); err != nil || e.Amount != 500 || e.Seq != 2 {
			t.Errorf("Void(%s) = %+v, %v; want entry 2 over 500", key, e, err)
		}
	}
	if e, err := l.Void("v3", "never charged"); err != nil || e.Amount != 0 {
		t.Errorf("nothing to void: %+v, %v", e, err)
	}
	for _, late := range []Request{charge, {Key: "k9", Order: "never charged", Card: pays, Amount: 1}} {
		if e, err := l.Charge(late); !errors.Is(err, abi.Conflict) {
			t.Errorf("a charge after the void: %+v, %v; want abi.Conflict", e, err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	for _, r := range []Request{
		{Order: "o", Card: pays, Amount: 1},
		{Key: "k", Card: pays, Amount: 1},
		{Key: "k", Order: "o", Card: "1", Amount: 1},
		{Key: "k", Order: "o", Card: pays},
		{Key: "k", Order: "o", Card: pays, Amount: -1},
	} {
		if _, err := l.Charge(r); !errors.Is(err, abi.Invalid) {
			t.Errorf("Charge(%+v): %v, want abi.Invalid", r, err)
		}
	}
	if list := entries(t, path); len(list) != 0 {
		t.Errorf("bad requests left %+v", list)
	}
}

// A killed service may leave any beginning of its last write.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	l := open(t, whole)
	for i := range 3 {
		if _, err := l.Charge(Request{Key: fmt.Sprint("k", i), Order: "o", Card: pays, Amount: 100}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(text) {
		path := filepath.Join(dir, "torn")
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		kept := bytes.Count(text[:cut], []byte("\n"))
		l := open(t, path)
		if _, err := l.Charge(Request{Key: "new", Order: "o", Card: pays, Amount: 100}); err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		l.Close()
		if list := entries(t, path); len(list) != kept+1 || list[kept].Key != "new" {
			t.Fatalf("cut at %d: %d entries, want %d and the new one", cut, len(list), kept)
		}
	}
}

func TestDamagedLedger(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	for _, text := range []string{"garbage\n", `{"seq":2}` + "\n", `{"seq":1}` + "\n\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := OpenLedger(path); !errors.Is(err, abi.Corrupt) {
			t.Errorf("OpenLedger of %q = %v, %v; want abi.Corrupt", text, l, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("the damaged ledger %q was changed to %q, %v", text, after, err)
		}
	}
}

func TestLedgerHasOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	l := open(t, path)
	if _, err := OpenLedger(path); !errors.Is(err, abi.Owned) {
		t.Errorf("a second owner: %v, want abi.Owned", err)
	}
	l.Close()
	open(t, path)
}

// An entry that could not be written must not be answered for, not even when
// it is asked for again.
func TestBrokenLedger(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "ledger"))
	l.file.Close()
	for range 2 {
		if e, err := l.Charge(Request{Key: "k", Order: "o", Card: pays, Amount: 1}); !errors.Is(err, abi.Unavailable) {
			t.Errorf("Charge = %+v, %v; want abi.Unavailable", e, err)
		}
	}
	if err := <-l.Broken(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Broken: %v", err)
	}
}

func FuzzReadLedger(f *testing.F) {
	f.Add([]byte(`{"seq":1,"op":"charge","key":"k","order":"o","amount":1}` + "\n"))
	f.Add([]byte(`{"seq":1}` + "\n" + `{"seq":2`))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, size, err := ReadLedger(bytes.NewReader(text))
		again, sizeAgain, errAgain := ReadLedger(bytes.NewReader(text[:size]))
		if errAgain != nil || sizeAgain != size || !cmp.Equal(again, list) {
			t.Errorf("what was read, read again: %v, %d, %v; want %v, %d", again, sizeAgain, errAgain, list, size)
		}
		if rest := text[size:]; err == nil && bytes.Contains(rest, []byte("\n")) {
			t.Errorf("the line in %q was passed over", rest)
		}
	})
}
