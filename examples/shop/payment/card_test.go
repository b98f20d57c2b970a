package payment

import (
	"errors"
	"testing"

	"github.com/dbos-go/dbos/abi"
)

func TestCheckCard(t *testing.T) {
	good := map[string]string{
		CardThatPays:          "4242424242424242",
		CardThatDeclines:      "4000000000000002",
		"5555-5555-5555-4444": "5555555555554444",
		"378282246310005":     "378282246310005",
	}
	for number, want := range good {
		if got, err := CheckCard(number); got != want || err != nil {
			t.Errorf("CheckCard(%q) = %q, %v; want %q", number, got, err, want)
		}
	}
	for _, number := range []string{"", " - ", "4242 4242 4242 4241", "42", "42424242424242424242", "4242 4242 4242 424x", "٤٢٤٢٤٢٤٢٤٢٤٢"} {
		if got, err := CheckCard(number); !errors.Is(err, abi.Invalid) {
			t.Errorf("CheckCard(%q) = %q, %v; want abi.Invalid", number, got, err)
		}
	}
}

func TestMask(t *testing.T) {
	for digits, want := range map[string]string{"4242424242424242": "•••• 4242", "42": "•••• 42", "": "•••• "} {
		if got := Mask(digits); got != want {
			t.Errorf("Mask(%q) = %q, want %q", digits, got, want)
		}
	}
}
