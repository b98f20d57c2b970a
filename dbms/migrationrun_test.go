package dbms_test

import (
	"errors"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// TestRunKeepsTheHint: a step's failure names the step and keeps its kind and
// what to do; the steps behind it do not run.
func TestRunKeepsTheHint(t *testing.T) {
	m := dbms.Migrations{Owner: "app:shop", Steps: []dbms.Migration{{Version: 1, Name: "a", SQL: "A"}, {Version: 2, Name: "b", SQL: "B"}, {Version: 3, Name: "c", SQL: "C"}}}
	var ran []int
	err := m.Run(func(string) ([]string, error) { return []string{m.Steps[0].Digest()}, nil }, func(_ abi.Call, step dbms.Migration) error {
		ran = append(ran, step.Version)
		return abi.Errorf("test", abi.Denied, "table", "no").WithHint("choose another")
	})
	e, ok := errors.AsType[*abi.Error](err)
	if !ok || e.Kind != abi.Denied || e.Hint != "choose another" || e.Resource != m.Resource(m.Steps[1]) {
		t.Errorf("the failure became %+v", err)
	}
	if len(ran) != 1 || ran[0] != 2 {
		t.Errorf("ran steps %v, want only the second", ran)
	}
}
