package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// lines are events as lines of JSON in a file, which every question scans. A line that
// does not hold the text that is looked for is not parsed.
type lines struct {
	path string
	f    *os.File
	out  *bufio.Writer
}

// An event is a line.
type event struct {
	LSN       dbms.LSN `json:"lsn"`
	Commit    dbms.LSN `json:"commit"`
	Time      int64    `json:"time"`
	Procedure string   `json:"procedure"`
	Principal string   `json:"principal"`
	Execution string   `json:"execution"`
	Step      int      `json:"step"`
	Table     string   `json:"table"`
	Op        dbms.Op  `json:"op"`
	ID        int64    `json:"id"`
	Row       rowJSON  `json:"row"`
}

type rowJSON struct {
	Owner   any `json:"owner"`
	Balance any `json:"balance"`
	Region  any `json:"region"`
	Visits  any `json:"visits"`
	Note    any `json:"note"`
}

func openLines(dir string) (store, error) {
	l := &lines{path: filepath.Join(dir, "events.jsonl")}
	var err error
	if l.f, err = os.Create(l.path); err != nil {
		return nil, err
	}
	l.out = bufio.NewWriterSize(l.f, 1<<20)
	return l, nil
}

func (l *lines) add(commits []dbms.Commit) error {
	enc := json.NewEncoder(l.out)
	for i := range commits {
		c := &commits[i]
		for j := range c.Changes {
			ch := &c.Changes[j]
			if ch.Op == dbms.Define {
				continue
			}
			err := enc.Encode(event{LSN: ch.LSN, Commit: c.LSN, Time: c.Time.UnixMicro(), Procedure: c.Call.Procedure, Principal: string(c.Call.Principal),
				Execution: c.Call.Execution, Step: c.Call.Step, Table: ch.Table, Op: ch.Op, ID: ch.Key[0].(int64),
				Row: rowJSON{ch.Row[1], ch.Row[2], ch.Row[3], ch.Row[4], ch.Row[5]}})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lines) finish() error {
	if err := l.out.Flush(); err != nil {
		return err
	}
	return l.f.Sync()
}

func (l *lines) size() int64 {
	info, err := os.Stat(l.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (l *lines) close() error { return l.f.Close() }

// scan runs fn for each event that holds the texts.
func (l *lines) scan(fn func(e *event), texts ...string) error {
	f, err := os.Open(l.path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(bufio.NewReaderSize(f, 1<<20))
	for in.Scan() {
		if slices.ContainsFunc(texts, func(t string) bool { return !bytes.Contains(in.Bytes(), []byte(t)) }) {
			continue
		}
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return err
		}
		fn(&e)
	}
	return in.Err()
}

const account = `"table":"account"`

func (l *lines) touched(id int64) (string, error) {
	seen := map[string]bool{}
	err := l.scan(func(e *event) { seen[e.Principal] = true }, account, fmt.Sprintf(`"id":%d,`, id))
	return fmt.Sprintf("%d ; ", len(seen)), err
}

func (l *lines) changed(after, upto dbms.LSN) (string, error) {
	seen := map[int64]bool{}
	err := l.scan(func(e *event) {
		if e.LSN > after && e.LSN <= upto {
			seen[e.ID] = true
		}
	}, account)
	return fmt.Sprintf("%d ; ", len(seen)), err
}

func (l *lines) state(at dbms.LSN) (string, error) {
	balances := map[int64]int64{}
	err := l.scan(func(e *event) {
		if e.LSN <= at {
			balance, _ := e.Row.Balance.(float64)
			balances[e.ID] = int64(balance)
		}
	}, account)
	sum := int64(0)
	for _, b := range balances {
		sum += b
	}
	return fmt.Sprintf("%d %d ; ", len(balances), sum), err
}

func (l *lines) did(principal string) (string, error) {
	n := map[string]int{}
	err := l.scan(func(e *event) { n[e.Table]++ }, `"principal":"`+principal+`"`)
	text := ""
	for _, name := range slices.Sorted(maps.Keys(n)) {
		text += fmt.Sprintf("%s %d ; ", name, n[name])
	}
	return text, err
}

func (l *lines) top() (string, error) {
	n := map[string]int{}
	err := l.scan(func(e *event) { n[e.Table]++ })
	names := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(a, b)
	})
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%s %d ; ", name, n[name])
	}
	return text, err
}
