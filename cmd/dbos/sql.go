package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
)

// sqlCommand runs a statement.
func (c *cli) sqlCommand() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:   "sql STATEMENT [ARGUMENT...]",
		Short: "Run an SQL statement",
		Long: `sql runs one statement on a snapshot of all tables, the system's and the
application's, and prints its rows. STATEMENT - is read from standard input.

ARGUMENTs are for $1, $2…: numbers, NULL, x'00ff' (bytes) and 'quoted text' are
what they look like in SQL, anything else is text.

With --write the statement is a transaction that may change the application's
tables. Times in the tables are microseconds since 1970, in UTC.`,
		Example: `  dbos sql 'select id, state from sched_task where name = $1' checkout
  dbos sql "select at/1000000, procedure, principal from dbos_transaction order by lsn desc limit 5"
  dbos sql --write 'update stock set n = n + $1 where item = $2' 10 hat
  dbos sql --json - < report.sql | jq -r .total`,
		Args: c.arguments(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			statement, err := c.argument(args[0])
			if err != nil {
				return err
			}
			values, err := literals(args[1:])
			if err != nil {
				return err
			}
			if write {
				return c.exec(cmd.Context(), statement, values)
			}
			return c.query(cmd.Context(), statement, values)
		},
	}
	cmd.Flags().BoolVar(&write, "write", false, "let the statement change tables")
	return cmd
}

func (c *cli) query(ctx context.Context, statement string, args []any) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	rows, err := s.Query(ctx, statement, args...)
	if err != nil {
		return explainWrite(err)
	}
	defer rows.Close()
	if err := c.printRows(rows); err != nil {
		return err
	}
	return rows.Err()
}

// explainWrite adds the hint that a person needs who did not mean to read.
func explainWrite(err error) error {
	e, ok := errors.AsType[*abi.Error](err)
	if !ok || e.Kind != abi.Denied || e.Op != "dbms.view" {
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
