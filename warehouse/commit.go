package warehouse

import "github.com/dbos-go/dbos/dbms"

// A Commit is one committed transaction: who called what and when.
type Commit struct {
	dbms.Commit // without its Changes
}
