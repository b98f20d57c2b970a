package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/server/pgwire"
)

// shellCommands are the shell's own commands, and what they do.
var shellCommands = [][2]string{
	{`\?`, "this list"},
	{`\d [TABLE]`, "the tables of the application and of the system, or the columns of one"},
	{`\dt [SCHEMA]`, "the tables of a schema: main, history or prov"},
	{`\dn`, "schemas"},
	{`\at [MOMENT]`, `go to a moment: "16 minutes ago", 18:05, LSN 1234, run:order-42, now`},
	{`\x`, "print rows one column a line, or not"},
	{`\timing`, "print how long statements take, or not"},
	{`\q`, "end"},
}

// command runs one of the shell's own commands, and reports whether another may
// come.
func (sh *shell) command(ctx context.Context, line string) bool {
	name, argument, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ";"), " ")
	argument = strings.TrimSpace(argument)
	var err error
	switch name {
	case `\q`:
		return false
	case `\?`, `\h`:
		t := &table{columns: []column{{}, {}}}
		for _, c := range shellCommands {
			t.add(cell{c[0], bold}, cell{c[1], plain})
		}
		err = sh.printTable(t)
	case `\x`:
		sh.expanded = !sh.expanded
		err = sh.say("rows are printed %s", map[bool]string{true: "one column a line", false: "one a line"}[sh.expanded])
	case `\timing`:
		sh.timing = !sh.timing
		err = sh.say("the time of statements is %s", map[bool]string{true: "printed", false: "not printed"}[sh.timing])
	case `\at`:
		err = sh.interruptible(ctx, func(ctx context.Context) error { return sh.at(ctx, argument) })
	case `\d`, `\dt`, `\dn`:
		err = sh.interruptible(ctx, func(ctx context.Context) error { return sh.describe(ctx, name, argument) })
	default:
		err = abi.Errorf("", abi.Invalid, "", "there is no command %s", name).WithHint(`\? lists the commands`)
	}
	if err != nil {
		sh.printFailure(err)
	}
	return true
}

func (sh *shell) say(format string, args ...any) error {
	_, err := fmt.Fprintln(sh.out, sh.screen.paint(fmt.Sprintf(format, args...), dim))
	return err
}

func (sh *shell) printTable(t *table) error {
	if len(t.columns) > 0 && t.columns[0].title == "" {
		widths := t.layout(sh.screen.width)
		var b strings.Builder
		for _, row := range t.rows {
			writeLine(&b, t.columns, row, widths, sh.screen)
		}
		_, err := fmt.Fprint(sh.out, b.String())
		return err
	}
	return t.print(sh.out, sh.screen)
}

// at goes to a moment, or says which one it is.
func (sh *shell) at(ctx context.Context, text string) error {
	switch {
	case sh.o.engine:
		return abi.Errorf("", abi.Unsupported, "", "the engine only knows now").WithHint("start the shell without --engine")
	case text != "":
		if err := sh.goTo(ctx, text); err != nil {
			return err
		}
	}
	if sh.moment == "" {
		return sh.say("now")
	}
	return sh.say("%s", sh.moment)
}

// goTo makes all statements that follow ask about a moment: the same one,
// however long the shell stays there.
func (sh *shell) goTo(ctx context.Context, text string) error {
	if strings.EqualFold(text, "now") {
		sh.o.at, sh.moment = "", ""
		return nil
	}
	m, err := sh.s.Resolve(ctx, text)
	if err != nil {
		return err
	}
	sh.o.at = fmt.Sprintf("LSN %d", m.Lsn)
	sh.moment = sh.o.at
	if m.Time != nil {
		sh.moment = m.Time.AsTime().Local().Format("2006-01-02 15:04:05") + ", " + sh.o.at
	}
	sh.words = words{}
	return nil
}

// describe runs \d, \dt and \dn.
func (sh *shell) describe(ctx context.Context, name, argument string) error {
	if sh.o.engine {
		return abi.Errorf("", abi.Unsupported, "", "the warehouse lists tables, and the engine is asked here").
			WithHint("start the shell without --engine, or ask the engine's own catalog")
	}
	tables, err := pgwire.Tables(ctx, throughDoor{sh.s.Client}, sh.o.at)
	if err != nil {
		return err
	}
	if name == `\d` && argument != "" {
		return sh.describeTable(tables, argument)
	}
	schema := argument
	t := &table{columns: []column{{title: "schema"}, {title: "table"}, {title: "columns", least: 20}}}
	if name == `\dn` {
		t = &table{columns: []column{{title: "schema"}, {title: "tables", right: true}}}
	} else if schema == "" {
		schema = "main"
	}
	counts, schemas := map[string]int{}, []string{}
	for _, found := range tables {
		if counts[found.Schema]++; counts[found.Schema] == 1 {
			schemas = append(schemas, found.Schema)
		}
		if name == `\dn` || found.Schema != strings.TrimSuffix(schema, ".*") {
			continue
		}
		var columns []string
		for _, c := range found.Columns {
			columns = append(columns, c.Name)
		}
		t.add(cell{found.Schema, dim}, cell{found.Name, plain}, cell{strings.Join(columns, ", "), plain})
	}
	if name == `\dn` {
		for _, schema := range schemas {
			t.add(cell{schema, plain}, cell{fmt.Sprint(counts[schema]), plain})
		}
	}
	if err := sh.printTable(t); err != nil || name != `\d` {
		return err
	}
	return sh.say(`\dt history has their versions, and \dt prov who did what`)
}

func (sh *shell) describeTable(tables []pgwire.Table, name string) error {
	schema, wanted, ok := strings.Cut(strings.ReplaceAll(name, `"`, ""), ".")
	if !ok {
		schema, wanted = "main", schema
	}
	for _, found := range tables {
		if !strings.EqualFold(found.Schema, schema) || !strings.EqualFold(found.Name, wanted) {
			continue
		}
		t := &table{columns: []column{{title: "column"}, {title: "type"}}}
		for _, c := range found.Columns {
			t.add(cell{c.Name, plain}, cell{c.Type, plain})
		}
		return sh.printTable(t)
	}
	return abi.Errorf("", abi.NotFound, "", "there is no table %s", name).WithHint(`\d lists the tables`)
}
