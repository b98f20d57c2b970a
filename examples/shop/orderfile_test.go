package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/google/go-cmp/cmp"
)

const goodLine = `{"id":"o1","item":"tea","quantity":1,"customer":"Ada","card":"4242 4242 4242 4242"}`

func TestParseOrders(t *testing.T) {
	text := "\ufeff" + goodLine + "\r\n\n  " +
		`{"item":"mug","quantity":100,"customer":" Grace Hopper ","card":"4242-4242-4242-4242"}` // no ID, no line end
	got, err := parseOrders("f", []byte(text), testCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	want := []Order{
		{ID: "o1", Item: "tea", Quantity: 1, Customer: "Ada", Card: "4242424242424242"},
		{ID: got[1].ID, Item: "mug", Quantity: 100, Customer: "Grace Hopper", Card: "4242424242424242"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.HasSuffix(got[1].ID, "-000003") {
		t.Errorf("the ID %q does not end in the line's number, 3", got[1].ID)
	}
}

// The same file gives the same IDs; another file gives others.
func TestMadeIDs(t *testing.T) {
	line := strings.Replace(goodLine, `"id":"o1",`, "", 1) + "\n"
	ids := func(text string) (list []string) {
		orders, err := parseOrders("f", []byte(text), testCatalogue)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range orders {
			list = append(list, o.ID)
		}
		return list
	}
	twice := ids(line + line)
	if !slices.Equal(twice, ids(line+line)) || twice[0] == twice[1] {
		t.Errorf("IDs %q", twice)
	}
	if other := ids(line); slices.Contains(twice, other[0]) {
		t.Errorf("another file has the ID %q too", other[0])
	}
}

func TestBadLines(t *testing.T) {
	replace := func(old, new string) string { return strings.Replace(goodLine, old, new, 1) }
	tests := []struct{ line, want string }{
		{"{", "it ends in the middle"},
		{"hello", "JSON"},
		{"[]", "cannot unmarshal array"},
		{"null", "item: it is empty"},
		{goodLine + goodLine, "something follows the order"},
		{replace(`"item"`, `"itme"`), `unknown field "itme"`},
		{replace(`"quantity":1`, `"quantity":"1"`), "quantity: a JSON string does not fit"},
		{replace(`"quantity":1`, `"quantity":1.5`), "quantity: a JSON number 1.5 does not fit"},
		{replace(`"quantity":1`, `"quantity":0`), "quantity: 0 cannot be ordered"},
		{replace(`"quantity":1`, `"quantity":-1`), "quantity: -1 cannot be ordered"},
		{replace(`"quantity":1`, `"quantity":101`), "quantity: 101 cannot be ordered"},
		{replace(`"tea"`, `"tee"`), `item: the shop has no "tee"`},
		{replace(`"tea"`, `""`), "item: it is empty"},
		{replace(`"Ada"`, `" "`), "customer: it is empty"},
		{replace(`"Ada"`, `"A\u0007"`), "control character"},
		{replace(`"Ada"`, `"`+strings.Repeat("ä", maxName+1)+`"`), "customer: it has 101 characters"},
		{replace(`4242"`, `4241"`), "card: its last digit"},
		{replace(`"4242 4242 4242 4242"`, `""`), "card: it is empty"},
		{replace(`"o1"`, `"a/b"`), "id: '/' is not allowed"},
		{replace(`"o1"`, `".."`), "id:"},
		{replace(`"o1"`, `"`+strings.Repeat("a", maxID+1)+`"`), "id: it has 65 bytes"},
		{replace(`"Ada"`, `"`+strings.Repeat("a", maxLine)+`"`), "line: it has"},
		{replace(`"tea"`, `"mug"`), `"o1" is also the order of line 1`}, // see below
	}
	for _, tt := range tests {
		first := goodLine
		if !strings.Contains(tt.want, "line 1") {
			first = replace("o1", "o0")
		}
		orders, err := parseOrders("dir/f.jsonl", []byte(first+"\n"+tt.line+"\n"), testCatalogue)
		if orders != nil || err == nil || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), "dir/f.jsonl:2: ") || !errors.Is(err, abi.Invalid) {
			t.Errorf("%.100s:\n  got  %v\n  want an error at dir/f.jsonl:2 with %s", tt.line, err, tt.want)
		}
	}
}

func TestBadFiles(t *testing.T) {
	for _, text := range []string{"", "\n \n", "\ufeff"} {
		if _, err := parseOrders("f", []byte(text), testCatalogue); !errors.Is(err, abi.Invalid) || abi.HintOf(err) == "" {
			t.Errorf("%q: %v, want abi.Invalid and a hint", text, err)
		}
	}
	_, err := parseOrders("f", []byte(strings.Repeat("x\n", 1000)), testCatalogue)
	if n := strings.Count(err.Error(), "\n") + 1; n != maxBadLines+1 {
		t.Errorf("%d problems are told, want %d and that there may be more", n, maxBadLines)
	}
	if _, err := readOrderFile(t.TempDir()+"/none", testCatalogue); !errors.Is(err, abi.Invalid) || abi.HintOf(err) == "" {
		t.Errorf("no file: %v, want abi.Invalid and a hint", err)
	}
}

func TestGenerate(t *testing.T) {
	var text strings.Builder
	if err := generateOrders(&text, 500); err != nil {
		t.Fatal(err)
	}
	orders, err := parseOrders("generated", []byte(text.String()), testCatalogue)
	if err != nil || len(orders) != 500 {
		t.Errorf("%d orders, %v; want 500", len(orders), err)
	}
	var again strings.Builder
	if err := generateOrders(&again, 500); err != nil || again.String() != text.String() {
		t.Errorf("the same number gives another file, %v", err)
	}
}

// The sample that the guide names must be good.
func TestSample(t *testing.T) {
	if orders, err := readOrderFile("sample-orders.jsonl", testCatalogue); err != nil || len(orders) < 10 {
		t.Errorf("%d orders, %v", len(orders), err)
	}
}

func FuzzParseOrders(f *testing.F) {
	f.Add([]byte(goodLine + "\n"))
	f.Add([]byte("{}\n\n" + goodLine))
	f.Add([]byte(`{"item":"tea","quantity":1e0,"customer":"\ud800","card":"378282246310005"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		orders, err := parseOrders("f", text, testCatalogue)
		if (err == nil) == (len(orders) == 0) {
			t.Fatalf("%d orders and error %v", len(orders), err)
		}
		if err != nil && !errors.Is(err, abi.Invalid) {
			t.Errorf("not abi.Invalid: %v", err)
		}
		ids := map[string]bool{}
		for i, o := range orders {
			if err := o.check(testCatalogue); err != nil {
				t.Errorf("order %d was accepted: %v", i, err)
			}
			if o != o.tidied() || ids[o.ID] {
				t.Errorf("order %d is not tidy, or its ID is taken: %+v", i, o)
			}
			ids[o.ID] = true
		}
		if again, err2 := parseOrders("f", text, testCatalogue); !cmp.Equal(orders, again) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Error("the same text is read in another way")
		}
	})
}
