package measure

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// trace makes two cases of two sides that write down when they run.
func trace(ran *[]string) []Case {
	var cases []Case
	for i, name := range []string{"one", "two"} {
		c := Case{Name: name}
		for j, side := range []string{"bare", "dbos"} {
			c.Sides = append(c.Sides, Side{side, func(context.Context) (Result, error) {
				*ran = append(*ran, name+"/"+side)
				return Result{Operations: int64(100 * (1 + i + j + len(*ran)/5)), Elapsed: time.Second}, nil
			}})
		}
		cases = append(cases, c)
	}
	return cases
}

func compare(t *testing.T, args ...string) (out string, ran []string, err error) {
	t.Helper()
	var c Comparison
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	c.Flags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	err = c.Run(t.Context(), &text, trace(&ran), []string{"case", "ratio"}, func(o *Outcome) []string {
		return []string{o.Case, Ratio(o.Sides["dbos"].Median, o.Sides["bare"].Median)}
	})
	return text.String(), ran, err
}

func TestSidesTakeTurns(t *testing.T) {
	_, ran, err := compare(t, "-rounds", "2")
	want := []string{"one/bare", "one/dbos", "two/bare", "two/dbos", "one/bare", "one/dbos", "two/bare", "two/dbos"}
	if err != nil || !slices.Equal(ran, want) {
		t.Errorf("ran %v, %v, want %v", ran, err, want)
	}
}

func TestOnlyChoosesCases(t *testing.T) {
	out, ran, err := compare(t, "-only", "^t", "-rounds", "1")
	if err != nil || !slices.Equal(ran, []string{"two/bare", "two/dbos"}) {
		t.Errorf("ran %v, %v", ran, err)
	}
	if !strings.Contains(out, "| two  |  1.50 |") || strings.Contains(out, "one") {
		t.Errorf("the table is not of case two alone:\n%s", out)
	}
	if _, _, err := compare(t, "-only", "three"); err == nil || !strings.Contains(err.Error(), "named like one") {
		t.Errorf("no case: err = %v", err)
	}
}

func TestJSON(t *testing.T) {
	out, _, err := compare(t, "-json", "-rounds", "3")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine  struct{ Cores int }
		Settings struct{ Rounds int }
		Outcomes []Outcome
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if got.Machine.Cores < 1 || got.Settings.Rounds != 3 || len(got.Outcomes) != 2 {
		t.Errorf("got %+v", got)
	}
	reached := got.Outcomes[0].Sides["bare"]
	if fmt.Sprint(reached.Rates) != "[100 200 200]" || reached.Median != 200 {
		t.Errorf("case one, bare: %+v", reached)
	}
}
