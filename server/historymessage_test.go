package server

import "testing"

func TestStoredFailure(t *testing.T) {
	for stored, want := range map[string]string{
		`{"message":"card refused","name":"payment.declined"}`: "card refused",
		"plain text": "plain text",
		`{"odd":1}`:  `{"odd":1}`,
		`"quoted"`:   `"quoted"`,
	} {
		if got := storedFailure(stored).Message; got != want {
			t.Errorf("%s is %q, want %q", stored, got, want)
		}
	}
}
