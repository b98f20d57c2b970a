package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
)

// sqlOptions say who answers a statement, and about what moment.
type sqlOptions struct {
	at     string // a moment; empty is now
	engine bool   // the database itself, in its own dialect
	write  bool   // the statement may change tables
}

func (o sqlOptions) check() error {
	switch {
	case o.write && o.at != "":
		return usageError("", "--write and --at exclude each other: nobody can write the past")
	case o.engine && o.at != "":
		return usageError("without --engine the question goes to the warehouse, which knows the past", "--engine and --at exclude each other")
	}
	return nil
}

// sqlCommand runs a statement, or a shell for them.
func (c *cli) sqlCommand() *cobra.Command {
	var o sqlOptions
	cmd := &cobra.Command{
		Use:   "sql [STATEMENT [ARGUMENT...]]",
		Short: "Run an SQL statement, about now or about the past",
		Long: `sql runs one statement over all tables, the system's and the application's, and
prints its rows. STATEMENT - is read from standard input; without a STATEMENT, on
a terminal, it is a shell.

The dialect is DuckDB's. Tables are as they are now, with all that was committed
before, or with --at as they were at a moment. history.TABLE has every version of
every row, "TABLE_at"('MOMENT') the table at a moment, and prov.* who did what
and why. With --engine the database answers, in its own dialect.

ARGUMENTs are for $1, $2…: numbers, NULL, x'00ff' (bytes) and 'quoted text' are
what they look like in SQL, anything else is text.

With --write the statement is a transaction of the engine's own dialect that may
change the application's tables. Times in the tables are microseconds since 1970,
in UTC.

` + momentHelp,
		Example: `  dbos sql 'select id, state from sched_task where name = $1' checkout
  dbos sql --at '16 minutes ago' 'select * from stock'
  dbos sql 'select procedure, principal, count(*) from prov.calls group by all'
  dbos sql --write 'update stock set n = n + $1 where item = $2' 10 hat
  dbos sql --json - < report.sql | jq -r .total`,
		Args: c.arguments(0, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return c.shell(cmd.Context(), o)
			}
			statement, err := c.argument(args[0])
			if err != nil {
				return err
			}
			values, err := literals(args[1:])
			if err != nil {
				return err
			}
			if o.write {
				return c.exec(cmd.Context(), statement, values)
			}
			return c.query(cmd.Context(), o, statement, values)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.at, "at", "", "ask about the `MOMENT`")
	f.BoolVar(&o.engine, "engine", false, "ask the database itself, in its own dialect")
	f.BoolVar(&o.write, "write", false, "let the statement change tables (in the engine's dialect)")
	return cmd
}

func (c *cli) query(ctx context.Context, o sqlOptions, statement string, args []any) error {
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	rows, err := c.read(ctx, s, &o, statement, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := c.printRows(rows); err != nil {
		return err
	}
	return rows.Err()
}

// read runs a statement that reads. Where there is no warehouse, or another
// process keeps it to itself, questions about now go to the engine: then it
// says so, once, and sets o.engine.
func (c *cli) read(ctx context.Context, s *session, o *sqlOptions, statement string, args []any) (*client.Rows, error) {
	if !o.engine {
		rows, err := c.readHistory(ctx, s, o.at, statement, args)
		if kind := abi.KindOf(err); kind != abi.Unsupported && kind != abi.Owned {
			return rows, explainWrite(err)
		}
		why := s.noWarehouse(ctx, err)
		if why == nil || o.at != "" {
			return nil, err
		}
		fmt.Fprintf(c.err, "note: %s\nnote: the engine answers, in its own dialect; there is no history.* and no prov.*\n", printable(sentence(why)))
		o.engine = true
	}
	rows, err := s.Query(ctx, statement, args...)
	return rows, explainWrite(err)
}

func (c *cli) readHistory(ctx context.Context, s *session, at, statement string, args []any) (*client.Rows, error) {
	if newScreen(c.err, c.noColor).terminal {
		t := c.track("asking")
		defer t.end()
	}
	return s.QueryAt(ctx, at, statement, args...)
}

// noWarehouse returns why there is no warehouse, or nil if there is one. err
// is what a question to it came back with.
func (s *session) noWarehouse(ctx context.Context, err error) error {
	if abi.KindOf(err) == abi.Owned {
		return err
	}
	st, statusErr := s.HistoryStatus(ctx, false)
	switch {
	case abi.KindOf(statusErr) == abi.Unsupported: // an older node
		return err
	case statusErr != nil || st.Available:
		return nil
	case st.Unavailable.GetMessage() != "":
		return errors.New("there is no warehouse: " + st.Unavailable.Message)
	}
	return err
}

// explainWrite adds the hint that a person needs who did not mean to read.
func explainWrite(err error) error {
	e, ok := errors.AsType[*abi.Error](err)
	if !ok || e.Kind != abi.Denied || e.Op != "dbms.view" && e.Op != "server.history" {
		return err
	}
	return abi.Errorf(e.Op, e.Kind, "statement", "it changes tables, and dbos sql only reads").
		WithHint("add --write to let it")
}

func (c *cli) exec(ctx context.Context, statement string, args []any) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	res, err := s.Exec(ctx, statement, args...)
	if err != nil {
		return err
	}
	if len(res.Columns) > 0 {
		return c.printRows(&fixedRows{result: res})
	}
	if c.json {
		return c.printJSONLine(struct {
			Changed int64 `json:"changed"`
		}{res.Changed})
	}
	_, err = fmt.Fprintf(c.out, "%s changed\n", count(int(res.Changed), "row"))
	return err
}

// rowSource is what is printed: the rows of a query, or of a statement that
// returns some.
type rowSource interface {
	Columns() []string
	Types() []string // nil if the engine types values, not columns
	Next() bool
	Values() []any
	Err() error
}

var _ rowSource = (*client.Rows)(nil)

// fixedRows are rows in memory.
type fixedRows struct {
	result client.Result
	next   int
}

func (r *fixedRows) Columns() []string { return r.result.Columns }
func (r *fixedRows) Types() []string   { return nil }
func (r *fixedRows) Values() []any     { return r.result.Rows[r.next-1] }
func (r *fixedRows) Err() error        { return nil }
func (r *fixedRows) Next() bool {
	r.next++
	return r.next <= len(r.result.Rows)
}

// count renders a number of things: "1 row", "2 rows".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
