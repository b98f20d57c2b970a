//go:build cgo

package warehouse

import (
	"context"
	"database/sql/driver"

	"github.com/dbos-go/dbos/dbms"
)

// calls writes down who made the commits.
func (a *applier) calls(ctx context.Context, commits []dbms.Commit) error {
	if len(commits) == 0 {
		return nil
	}
	return a.fill(ctx, "warehouse", "commit", func(add func(...driver.Value) error) error {
		for i := range commits {
			c := &commits[i]
			call := &c.Call
			err := add(int64(c.LSN), timeValue(c.Time), call.Procedure, string(call.Principal), call.Execution, int64(call.Step),
				call.Node, timeValue(call.Start), int64(0), nil)
			if err != nil {
				return err
			}
		}
		return nil
	})
}
