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

// A look is a footprint, and who left it.
type look struct {
	footprint.Footprint
	lsn       dbms.LSN // the commit by which it is known
	snapshot  dbms.LSN // what was looked at
	principal string
	execution string
	outside   bool // it was no transaction that looked
}

// viewTable is the tracked table that keeps the footprints of what was read
// outside of transactions.
const viewTable = "prov_view"

// calls writes down who made the commits, and what they looked at.
func (a *applier) calls(ctx context.Context, commits []dbms.Commit) error {
	if len(commits) == 0 {
		return nil
	}
	var looks []look
	err := a.fill(ctx, "warehouse", "commit", nil, func(add func(...driver.Value) error) error {
		for i := range commits {
			c := &commits[i]
			var note any
			if c.Note != nil {
				note = c.Note
			}
			looks = appendLooks(looks, c)
			call := &c.Call
			err := add(int64(c.LSN), timeValue(c.Time), validText(call.Procedure), validText(string(call.Principal)), validText(call.Execution),
				int64(call.Step), validText(call.Node), timeValue(call.Start), int64(c.Snapshot), note, a.touched(c))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(looks) == 0 {
		return err
	}
	if err := a.statements(ctx, looks); err != nil {
		return err
	}
	return a.reads(ctx, looks)
}

// touched is the list of the tables whose rows a commit changed, by their numbers; nil if there are
// none.
func (a *applier) touched(c *dbms.Commit) any {
	var list []byte
	last := ""
	for i := range c.Changes {
		ch := &c.Changes[i]
		if ch.Table == last || ch.Op == dbms.Define || ch.Op == dbms.Drop {
			continue
		}
		last = ch.Table
		for _, id := range a.ids[ch.Table] {
			list = strconv.AppendInt(append(list, ' '), int64(id), 10)
		}
	}
	if list == nil {
		return nil
	}
	return string(list)
}

// appendLooks appends the footprints that a commit brings.
func appendLooks(looks []look, c *dbms.Commit) []look {
	if c.Note != nil {
		if f, err := footprint.Decode(c.Note); err == nil {
			looks = append(looks, look{Footprint: f, lsn: c.LSN, snapshot: c.Snapshot, principal: string(c.Call.Principal), execution: c.Call.Execution})
		}
	}
	for i := range c.Changes {
		ch := &c.Changes[i]
		if ch.Table != viewTable || ch.Op != dbms.Insert {
			continue
		}
		l := look{lsn: c.LSN, outside: true}
		for j, name := range ch.Columns {
			switch v := ch.Row[j].(type) {
			case int64:
				if name == "lsn" {
					l.snapshot = dbms.LSN(v)
				}
			case string:
				switch name {
				case "principal":
					l.principal = v
				case "execution":
					l.execution = v
				}
			case []byte:
				if name == "note" {
					l.Footprint, _ = footprint.Decode(v) // another sort of note says nothing here
				}
			}
		}
		looks = append(looks, l)
	}
	return looks
}

// validText is text as the store can hold it. Names of calls are valid.
func validText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func (a *applier) statements(ctx context.Context, looks []look) error {
	return a.fill(ctx, "warehouse", "statement", nil, func(add func(...driver.Value) error) error {
		for i := range looks {
			l := &looks[i]
			for n, s := range l.Statements {
				args := string(dbms.MarshalValues(s.Args))
				err := add(int64(l.lsn), int64(n+1), s.Text, validText(args), s.Rows, s.Writes, s.Cut,
					validText(l.principal), validText(l.execution), int64(l.snapshot), l.outside)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (a *applier) reads(ctx context.Context, looks []look) error {
	return a.fill(ctx, "warehouse", "read", nil, func(add func(...driver.Value) error) error {
		for i := range looks {
			l := &looks[i]
			for _, r := range l.Reads {
				err := add(int64(l.lsn), validText(r.Table), keyText(r.Key), validText(l.principal), validText(l.execution), int64(l.snapshot), l.outside)
				if err != nil {
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
