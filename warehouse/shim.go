//go:build cgo

package warehouse

import "github.com/dbos-go/dbos/dbms"

func defaultsOf(ch *dbms.Change) map[string]dbms.Value { return nil }
