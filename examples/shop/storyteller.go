package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
)

// title begins a chapter of the transcript.
func (s *story) title(text string) { fmt.Fprintf(s.out, "\n## %s\n", text) }

// say writes a paragraph, or a command as the operator types it.
func (s *story) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !strings.HasPrefix(text, "  ") {
		text = "\n" + text
	}
	fmt.Fprintln(s.out, text)
}

// ask shows a question in SQL with its answer.
func (s *story) ask(ctx context.Context, sql string) error {
	sql = strings.Join(strings.Fields(sql), " ")
	s.say("$ dbos sql \"%s\"", sql)
	rows, err := s.shop.sys.History().Query(ctx, "", sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	table := tabwriter.NewWriter(s.out, 2, 0, 2, ' ', 0)
	line := func(n int, cell func(int) string) {
		cells := make([]string, n)
		for i := range cells {
			cells[i] = cell(i)
		}
		fmt.Fprintln(table, "  "+strings.Join(cells, "\t"))
	}
	columns := rows.Columns()
	line(len(columns), func(i int) string { return columns[i].Name })
	for rows.Next() {
		values := rows.Values()
		line(len(values), func(i int) string { return fmt.Sprint(values[i]) })
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return table.Flush()
}

// single is the one value of a question, as text.
func (s *story) single(ctx context.Context, sql string) (string, error) {
	rows, err := s.shop.sys.History().Query(ctx, "", sql)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if !rows.Next() {
		return "", fmt.Errorf("no answer to %s: %w", sql, rows.Err())
	}
	return fmt.Sprint(rows.Values()[0]), nil
}

// orderRows are all orders as of a moment, each as text, by ID.
func (s *story) orderRows(ctx context.Context, at string) (map[string]string, error) {
	rows, err := s.shop.sys.History().Query(ctx, at, `SELECT id, item, quantity, customer, amount, state, charge, placed_at FROM orders`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	orders := map[string]string{}
	for rows.Next() {
		v := rows.Values()
		orders[fmt.Sprint(v[0])] = fmt.Sprint(v...)
	}
	return orders, rows.Err()
}

// prices are those of the items now.
func (s *story) prices(ctx context.Context) (map[string]int64, error) {
	list, err := s.shop.items(ctx)
	prices := map[string]int64{}
	for _, i := range list {
		prices[i.ID] = i.Price
	}
	return prices, err
}
