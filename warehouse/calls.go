//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
)

// calls writes down who made the commits, and what they looked at.
func (a *applier) calls(ctx context.Context, commits []dbms.Commit) error {
	if len(commits) == 0 {
		return nil
	}
	prints := map[int]footprint.Footprint{}
	err := a.fill(ctx, "warehouse", "commit", nil, func(add func(...driver.Value) error) error {
		for i := range commits {
			c := &commits[i]
			var note any
			if c.Note != nil {
				note = c.Note
				if f, err := footprint.Decode(c.Note); err == nil {
					prints[i] = f
				}
			}
			call := &c.Call
			err := add(int64(c.LSN), timeValue(c.Time), validText(call.Procedure), validText(string(call.Principal)), validText(call.Execution),
				int64(call.Step), validText(call.Node), timeValue(call.Start), int64(c.Snapshot), note)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(prints) == 0 {
		return err
	}
	if err := a.statements(ctx, commits, prints); err != nil {
		return err
	}
	return a.reads(ctx, commits, prints)
}

// validText is text as the store can hold it. Names of calls are valid.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (a *applier) statements(ctx context.Context, commits []dbms.Commit, prints map[int]footprint.Footprint) error {
	return a.fill(ctx, "warehouse", "statement", nil, func(add func(...driver.Value) error) error {
		for i := range commits {
			for n, s := range prints[i].Statements {
				args := string(dbms.MarshalValues(s.Args))
				if err := add(int64(commits[i].LSN), int64(n+1), s.Text, validText(args), s.Rows, s.Writes, s.Cut); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (a *applier) reads(ctx context.Context, commits []dbms.Commit, prints map[int]footprint.Footprint) error {
	return a.fill(ctx, "warehouse", "read", nil, func(add func(...driver.Value) error) error {
		for i := range commits {
			for _, r := range prints[i].Reads {
				if err := add(int64(commits[i].LSN), validText(r.Table), keyText(r.Key)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// keyText is a key as prov shows it: a single value as text, several as a
// JSON array of texts.
func keyText(key []dbms.Value) string {
	list := make([]string, len(key))
	for i, v := range key {
		switch x := v.(type) {
		case int64:
			list[i] = strconv.FormatInt(x, 10)
		case float64:
			list[i] = strconv.FormatFloat(x, 'g', -1, 64)
		case string:
			list[i] = validText(x)
		case []byte:
			list[i] = string(appendExact(nil, x))
		}
	}
	if len(list) == 1 {
		return list[0]
	}
	b, _ := json.Marshal(list) // texts always have a form
	return string(b)
}
