package main

import "context"

// shell is what dbos sql is without a statement.
func (c *cli) shell(ctx context.Context, o sqlOptions) error {
	return usageError("", "sql: STATEMENT is missing")
}
