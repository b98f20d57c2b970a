package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// listed is how many entries of a list people are shown; --json has all.
const listed = 20

// momentText is a moment for people: "2026-11-21 18:05:00.000 +00:00, 16m ago
// (LSN 1234)".
func momentText(m *dbosv1.Moment, now time.Time) string {
	if m == nil {
		return ""
	}
	lsn := fmt.Sprintf("LSN %d", m.Lsn)
	switch {
	case m.Lsn == 0:
		return "the beginning, before any commit (LSN 0)"
	case !m.Time.IsValid():
		return lsn
	}
	t := m.Time.AsTime()
	return fmt.Sprintf("%s, %s (%s)", clock(t), ago(t, now), lsn)
}

// shortClock renders a moment of the past in local time, without what goes
// without saying in a table.
func shortClock(t, now time.Time) string {
	t, now = t.Local(), now.Local()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05.000")
	}
	return t.Format("2006-01-02 15:04:05")
}

// A document is a report that is printed piece by piece; the first failure to
// write is kept.
type document struct {
	out    io.Writer
	screen screen
	now    time.Time
	err    error
	begun  bool
}

func (c *cli) document() *document {
	return &document{out: c.out, screen: c.screen, now: c.now()}
}

// line prints a line of text.
func (d *document) line(format string, args ...any) {
	d.begun = true
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.out, format+"\n", args...)
	}
}

// gap prints an empty line between pieces.
func (d *document) gap() {
	if d.begun {
		d.line("")
	}
}

// heading prints a title for what follows.
func (d *document) heading(st style, format string, args ...any) {
	d.gap()
	d.line("%s", d.screen.paint(printable(fmt.Sprintf(format, args...)), st))
}

func (d *document) fields(fields ...field) {
	d.begun = true
	if d.err == nil {
		d.err = printFields(d.out, d.screen, fields)
	}
}

// table prints a table, of long ones the beginning.
func (d *document) table(t *table, all bool) {
	d.begun = true
	more := 0
	if !all && len(t.rows) > listed {
		more = len(t.rows) - listed
		t.rows = t.rows[:listed]
	}
	if d.err == nil {
		d.err = t.print(d.out, d.screen)
	}
	if more > 0 {
		d.line("%s", d.screen.paint(fmt.Sprintf("… and %d more; --json lists them all", more), dim))
	}
}

// warnings prints what people should know.
func (d *document) warnings(list []string) {
	if len(list) > 0 {
		d.gap()
	}
	for _, w := range list {
		d.line("%s %s", d.screen.paint("warning:", yellow), printable(w))
	}
}

// effects sums up what happens to the rows of the tables.
func effects(tables []*dbosv1.TableEffect) (rows int64, touched int) {
	for _, t := range tables {
		n := t.Changed + t.Restored + t.Removed
		rows += n
		if n > 0 {
			touched++
		}
	}
	return rows, touched
}

// effectTable lists the tables whose rows change: the application's first.
func effectTable(tables []*dbosv1.TableEffect) *table {
	t := &table{columns: []column{
		{title: "TABLE", least: 8}, {title: "CHANGED", right: true}, {title: "BROUGHT BACK", right: true}, {title: "REMOVED", right: true},
		{title: "NOTE", least: 12, optional: true},
	}}
	number := func(n int64) cell {
		if n == 0 {
			return cell{"-", dim}
		}
		return cell{strconv.FormatInt(n, 10), plain}
	}
	add := func(system bool, st style) {
		for _, e := range tables {
			if e.System == system && (e.Changed+e.Restored+e.Removed > 0 || len(e.Notes) > 0) {
				t.add(cell{e.Table, st}, number(e.Changed), number(e.Restored), number(e.Removed), cell{strings.Join(e.Notes, "; "), yellow})
			}
		}
	}
	add(false, bold)
	add(true, dim)
	return t
}

// runRefs lists runs with what they are now and what they will be.
func runRefs(runs []*dbosv1.RunRef) *table {
	t := &table{columns: []column{
		{title: "RUN", least: 12}, {title: "WORKFLOW", least: 8}, {title: "NOW"}, {title: "THEN"}, {title: "STEPS TAKEN BACK", right: true, optional: true},
	}}
	for _, r := range runs {
		steps := ""
		if r.Steps > 0 {
			steps = strconv.Itoa(int(r.Steps))
		}
		t.add(cell{r.Id, bold}, cell{r.Workflow, plain}, refState(r.Now), refState(r.Then), cell{steps, plain})
	}
	return t
}

func refState(s dbosv1.RunState) cell {
	if s == dbosv1.RunState_RUN_STATE_UNSPECIFIED {
		return cell{"-", dim}
	}
	return cell{stateName(s), stateOf(s).style}
}

// external prints the steps that nothing takes back.
func (d *document) external(steps []*dbosv1.ExternalStep) {
	if len(steps) == 0 {
		return
	}
	d.heading(red, "Not taken back: %s outside of the database. Compensate by hand what has to be:", countExternal(steps))
	t := &table{columns: []column{
		{title: "RUN", least: 12}, {title: "#", right: true}, {title: "STEP", least: 8}, {title: "DONE"}, {title: "OUTCOME", least: 12},
	}}
	for _, s := range steps {
		outcome := cell{s.Output, plain}
		if s.Failure != nil {
			outcome = cell{failureText(s.Failure), red}
		}
		t.add(cell{s.Run, bold}, cell{strconv.Itoa(int(s.Seq)), dim}, cell{s.Name, plain}, cell{shortClock(s.At.AsTime(), d.now), plain}, outcome)
	}
	d.table(t, false)
}

func countExternal(steps []*dbosv1.ExternalStep) string {
	return count(len(steps), "step") + " of " + count(distinctRuns(steps), "run")
}

func distinctRuns(steps []*dbosv1.ExternalStep) int {
	var ids []string
	for _, s := range steps {
		ids = append(ids, s.Run)
	}
	slices.Sort(ids)
	return len(slices.Compact(ids))
}

// seconds is a duration of a message.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// The JSON forms of what reports share.

// A momentJSON is a state of the database.
type momentJSON struct {
	LSN  int64      `json:"lsn"`
	Time *time.Time `json:"time,omitempty"`
}

// An effectJSON says what happens to the rows of a table.
type effectJSON struct {
	Table    string   `json:"table"`
	Changed  int64    `json:"changed"`
	Restored int64    `json:"brought_back"`
	Removed  int64    `json:"removed"`
	System   bool     `json:"system"`
	Notes    []string `json:"notes,omitempty"`
}

// A runRefJSON is a run in a report. A state is absent where the run is not.
type runRefJSON struct {
	ID       string `json:"id"`
	Workflow string `json:"workflow"`
	Now      string `json:"now,omitempty"`
	Then     string `json:"then,omitempty"`
	Steps    int32  `json:"steps_taken_back,omitempty"`
}

// An externalJSON is a step that nothing takes back.
type externalJSON struct {
	Run      string       `json:"run"`
	Workflow string       `json:"workflow,omitempty"`
	Seq      int32        `json:"seq"`
	Name     string       `json:"name"`
	Output   any          `json:"output,omitempty"`
	Error    *failureJSON `json:"error,omitempty"`
	At       *time.Time   `json:"at"`
}

func momentOf(m *dbosv1.Moment) *momentJSON {
	if m == nil {
		return nil
	}
	return &momentJSON{LSN: m.Lsn, Time: moment(m.Time)}
}

func effectsOf(tables []*dbosv1.TableEffect) []effectJSON {
	list := []effectJSON{}
	for _, e := range tables {
		list = append(list, effectJSON{e.Table, e.Changed, e.Restored, e.Removed, e.System, e.Notes})
	}
	return list
}

func runRefsOf(runs []*dbosv1.RunRef) []runRefJSON {
	list := []runRefJSON{}
	for _, r := range runs {
		j := runRefJSON{ID: r.Id, Workflow: r.Workflow, Steps: r.Steps}
		if r.Now != dbosv1.RunState_RUN_STATE_UNSPECIFIED {
			j.Now = stateName(r.Now)
		}
		if r.Then != dbosv1.RunState_RUN_STATE_UNSPECIFIED {
			j.Then = stateName(r.Then)
		}
		list = append(list, j)
	}
	return list
}

func externalOf(steps []*dbosv1.ExternalStep) []externalJSON {
	list := []externalJSON{}
	for _, s := range steps {
		j := externalJSON{Run: s.Run, Workflow: s.Workflow, Seq: s.Seq, Name: s.Name, Error: failureOf(s.Failure), At: moment(s.At)}
		if s.Output != "" {
			j.Output = rawJSON(s.Output)
		}
		list = append(list, j)
	}
	return list
}
