package warehouse

import (
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
)

// A Commit is one committed transaction: who called what and when, and what it
// looked at.
type Commit struct {
	dbms.Commit // without its Changes
	// Footprint is the Note decoded; empty if there is none, or if it is something else.
	Footprint footprint.Footprint
}
