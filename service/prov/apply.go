package prov

import "github.com/dbos-go/dbos/dbms"

// A RowState is what a row shall be.
type RowState struct {
	Key []dbms.Value // by the table's key columns
	Row []dbms.Value // by all its columns, as Change.Columns names them; nil: it shall not be there
}

// Applied counts the rows that Apply changed.
type Applied struct {
	Changed int64 `json:"changed"` // they were there and are there
	Back    int64 `json:"back"`    // they were not there
	Removed int64 `json:"removed"`
}

// Apply makes rows of a table what they shall be, whatever they are, by few
// statements over many rows each. The table is one of db.Tables as tx sees it.
// Constraints are checked as by any statement, and triggers fire: see Rewrite.
func Apply(tx dbms.Tx, db dbms.DB, table dbms.Change, rows []RowState) (Applied, error) {
	return Applied{}, notYet("prov.apply")
}

// Rewrite runs fn, which applies rows to the tables, so that the tables'
// application triggers do not fire and foreign keys need not hold in between; they
// must hold at its end, or the error is abi.Conflict and names rows that break
// them. tx is that of db.UpdateExclusive over the tables. History records every change as ever.
func Rewrite(tx dbms.Tx, db dbms.DB, tables []string, fn func() error) error {
	return notYet("prov.rewrite")
}
