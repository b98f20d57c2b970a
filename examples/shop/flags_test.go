package main

import (
	"errors"
	"flag"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
)

func TestFlags(t *testing.T) {
	dir := t.TempDir()
	c, err := parseFlags([]string{"-data", dir, "-latency", "5ms", "-failures", "0.5"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(c.address) != "unix:"+filepath.Join(dir, "payment.sock") || c.ledger() != filepath.Join(dir, "payments.jsonl") {
		t.Errorf("%+v", c)
	}
	if got, err := parsePaymentFlags(c.paymentCommand("shop")[2:], nil); err != nil ||
		got.Address != c.address || got.Ledger != c.ledger() || got.Settings != c.settings {
		t.Errorf("the payment service would get %+v, %v; want what is in %+v", got, err, c)
	}
}

func TestBadFlags(t *testing.T) {
	tests := [][]string{
		{"-nonsense"},
		{"stray"},
		{"-generate", "0"},
		{"-generate", "-1"},
		{"-generate", "x"},
		{"-generate", "10", "-orders", "f"},
		{"-orders", ""},
		{"-orders", "f", "-addr", ":1"},
		{"-json"},
		{"-data", ""},
		{"-db", ""},
		{"-db", "shop-data"},
		{"-db", "mysql://db/shop"},
		{"-data", "/" + strings.Repeat("long/", 30)},
		{"-tills", "0"},
		{"-tills", "1001"},
		{"-tries", "0"},
		{"-tries", "1001"},
		{"-payment", "nowhere"},
		{"-latency", "-1s"},
		{"-latency", "2m"},
		{"-failures", "1.01"},
		{"-failures", "NaN"},
	}
	for _, args := range tests {
		if _, err := parseFlags(args, nil); !errors.Is(err, abi.Invalid) || abi.HintOf(err) == "" {
			t.Errorf("%q: %v, want abi.Invalid with a hint", args, err)
		}
	}
	for _, args := range [][]string{{"-x"}, {"stray"}, {"-linger", "0"}} {
		if _, err := parsePaymentFlags(args, nil); !errors.Is(err, abi.Invalid) {
			t.Errorf("payment %q: %v, want abi.Invalid", args, err)
		}
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	if _, err := parseFlags([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	if _, err := parsePaymentFlags([]string{"-h"}, &out); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("payment -h: %v", err)
	}
	for _, want := range []string{"-orders", "-generate", "-data", "shop payment", "-linger", "dbos ps"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help does not name %s:\n%s", want, &out)
		}
	}
}

func TestPasswordsStayOutOfSight(t *testing.T) {
	for arg, want := range map[string]string{
		"-db": "-db", "x=y": "x=y", "postgres": "postgres", "file:data": "file:data",
		"postgres://ada@db/shop":                                            "postgres://ada@db/shop",
		"postgres://ada:secret@db:5433/shop?dbos_schema=a":                  "postgres://ada@db:5433/shop?dbos_schema=a",
		"-db=postgres://ada:secret@db/shop":                                 "-db=postgres://ada@db/shop",
		"postgresql://db/shop?password=secret":                              "postgresql://db/shop",
		"postgres://db/shop?dbos_direct=postgres%3A%2F%2Fada%3Asecret%40db": "postgres://db/shop",
		"postgres://ada:secret@db:x y/":                                     "postgres://…",
	} {
		if got := withoutPassword(arg); got != want {
			t.Errorf("%s is shown as %s, want %s", arg, got, want)
		}
	}
}
