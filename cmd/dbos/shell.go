package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/server/pgwire"
)

// A shell asks for statements on a terminal, and runs them.
type shell struct {
	*cli
	s        *session
	o        sqlOptions
	keys     *keys
	terminal *term.Terminal
	history  *shellHistory
	words    words
	// begun is the part of a statement that has been typed.
	begun string
	// moment is what the prompt says of the moment, "" for now.
	moment   string
	expanded bool // rows are printed one column a line
	timing   bool
}

// shell is what dbos sql is without a statement.
func (c *cli) shell(ctx context.Context, o sqlOptions) error {
	in, ok := c.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usageError("", "sql: STATEMENT is missing")
	}
	if o.write || c.json {
		return usageError("", "sql: STATEMENT is missing; the shell neither writes nor prints JSON")
	}
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	sh := &shell{cli: c, s: s, o: o, history: openHistory(historyFile())}
	if o.at != "" {
		if err := sh.goTo(ctx, o.at); err != nil {
			return err
		}
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return abi.Errorf("dbos.sql", abi.Unsupported, "terminal", "%w", err)
	}
	defer term.Restore(int(in.Fd()), before)
	out, errOut := c.out, c.err
	defer func() { c.out, c.err = out, errOut }()
	sh.open(ctx, in)
	err = sh.loop(ctx)
	sh.terminal.SetBracketedPasteMode(false)
	return err
}

// open makes the terminal. From now on everything is printed through it, as
// the terminal itself does not begin lines at their beginning any more.
func (sh *shell) open(ctx context.Context, in *os.File) {
	sh.keys = readKeys(ctx, in)
	sh.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{sh.keys, sh.cli.out}, "")
	sh.terminal.History = sh.history
	sh.terminal.AutoCompleteCallback = sh.complete
	sh.out, sh.err = sh.terminal, sh.terminal
	sh.terminal.SetBracketedPasteMode(true)
	dialect := "DuckDB's dialect"
	if sh.o.engine {
		dialect = "the engine's dialect"
	}
	fmt.Fprintln(sh.out, sh.screen.paint("SQL of "+dialect+`; a statement ends with ";". \? helps, \q or Ctrl-D ends.`, dim))
}

// loop reads lines until the end.
func (sh *shell) loop(ctx context.Context) error {
	for {
		if w, h, err := term.GetSize(int(sh.keys.in.Fd())); err == nil && w > 0 {
			sh.screen.width, sh.screen.height = w, h
			sh.terminal.SetSize(w, h)
		}
		sh.terminal.SetPrompt(sh.prompt())
		line, err := sh.terminal.ReadLine()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			fmt.Fprintln(sh.out)
			return nil
		case err != nil && !errors.Is(err, term.ErrPasteIndicator):
			return abi.Errorf("dbos.sql", abi.Unavailable, "terminal", "%w", err)
		}
		if sh.keys.canceled() {
			sh.begun = ""
			continue
		}
		if more := sh.line(ctx, line); !more {
			return nil
		}
	}
}

func (sh *shell) prompt() string {
	name := "dbos"
	if sh.o.engine {
		name = "engine"
	}
	if sh.moment != "" {
		name += "@" + sh.moment
	}
	if sh.begun != "" {
		return strings.Repeat(" ", max(len(name)-3, 0)) + "...> "
	}
	return name + "> "
}

// line takes a line, and reports whether another may come.
func (sh *shell) line(ctx context.Context, line string) bool {
	if command := strings.TrimSpace(line); strings.HasPrefix(command, `\`) { // also within a statement
		sh.history.keep(line)
		return sh.command(ctx, command)
	}
	if sh.begun == "" && (strings.TrimSpace(line) == "exit" || strings.TrimSpace(line) == "quit") {
		return false
	}
	if sh.begun != "" {
		sh.begun += "\n"
	}
	sh.begun += line
	statements, rest := pgwire.Finished(sh.begun)
	if len(statements) == 0 {
		if strings.TrimSpace(sh.begun) == "" {
			sh.begun = ""
		}
		return true
	}
	sh.history.keep(strings.TrimSuffix(sh.begun, rest))
	sh.begun = strings.TrimSpace(rest)
	for _, statement := range statements {
		if !sh.run(ctx, strings.TrimSpace(statement)) {
			break
		}
	}
	return true
}

// run runs a statement, which Ctrl-C ends, and reports whether it went well.
func (sh *shell) run(ctx context.Context, statement string) bool {
	began := time.Now()
	err := sh.interruptible(ctx, func(ctx context.Context) error { return sh.print(ctx, statement) })
	if err != nil {
		sh.printFailure(err)
		return false
	}
	if sh.timing {
		fmt.Fprintln(sh.out, sh.screen.paint(fmt.Sprintf("%.1f ms", float64(time.Since(began).Microseconds())/1000), dim))
	}
	return true
}

// interruptible runs something that Ctrl-C ends.
func (sh *shell) interruptible(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sh.keys.onInterrupt(func() { cancel(errInterrupted) })
	defer sh.keys.onInterrupt(nil)
	err := fn(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

var errInterrupted = errors.New("interrupted")

func (sh *shell) print(ctx context.Context, statement string) error {
	rows, err := sh.read(ctx, sh.s, &sh.o, statement, nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	if sh.expanded {
		err = sh.printExpanded(rows)
	} else {
		err = sh.printRows(rows)
	}
	return cmp.Or(err, rows.Err())
}

// printExpanded prints each row as lines of a column and its value.
func (sh *shell) printExpanded(rows rowSource) error {
	n := 0
	for rows.Next() {
		n++
		if _, err := fmt.Fprintln(sh.out, sh.screen.paint(fmt.Sprintf("-- row %d", n), dim)); err != nil {
			return err
		}
		t := &table{columns: []column{{}, {least: 8}}}
		for i, v := range rows.Values() {
			columnType := ""
			if i < len(rows.Types()) {
				columnType = rows.Types()[i]
			}
			t.add(cell{named(rows.Columns()[i], i), dim}, valueCell(v, columnType))
		}
		widths := t.layout(sh.screen.width)
		var b strings.Builder
		for _, row := range t.rows {
			writeLine(&b, t.columns, row, widths, sh.screen)
		}
		if _, err := io.WriteString(sh.out, b.String()); err != nil {
			return err
		}
	}
	if rows.Err() != nil {
		return rows.Err()
	}
	_, err := fmt.Fprintln(sh.out, sh.screen.paint("("+count(n, "row")+")", dim))
	return err
}

// printFailure prints an error over as many lines as it has: DuckDB points at
// what it does not like.
func (sh *shell) printFailure(err error) {
	for line := range strings.Lines(sentence(err)) {
		fmt.Fprintln(sh.out, sh.screen.paint(printable(strings.TrimRight(line, "\n")), red))
	}
	if hint := abi.HintOf(err); hint != "" {
		fmt.Fprintln(sh.out, "hint: "+printable(hint))
	}
}
