package prov

import (
	"context"

	"github.com/dbos-go/dbos/dbms"
)

// A Progress is how far something long is.
type Progress struct {
	Phase string `json:"phase"`
	Table string `json:"table,omitempty"`
	Rows  int64  `json:"rows"`
	Total int64  `json:"total"` // 0 while it is not known
}

// A ForkReport says what a fork has.
type ForkReport struct {
	At       Moment      `json:"at"`
	Location string      `json:"location"`
	Tables   []ForkTable `json:"tables"`
	Runs     int         `json:"runs"` // unfinished ones, which go on in the fork when it is launched
	Warnings []string    `json:"warnings,omitempty"`
}

// A ForkTable is one table of a fork.
type ForkTable struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	Digest string `json:"digest"` // of its rows: see Digest
}

// Fork makes target, an opened database without a system's rows, a working system as of a moment:
// independent of the source, with all tables, runs and journals. progress may be nil.
func (s *Service) Fork(ctx context.Context, at Moment, target dbms.DB, progress func(Progress)) (*ForkReport, error) {
	return nil, notYet("prov.fork")
}

// Digest is a table's content as a digest, whatever the engine and the order of
// its rows.
func Digest(ctx context.Context, db dbms.DB, table string) (digest string, rows int64, err error) {
	return "", 0, notYet("prov.digest")
}
