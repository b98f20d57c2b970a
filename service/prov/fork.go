package prov

import (
	"context"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

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

// ForkProcedure is the name of the transaction that fills a fork.
const ForkProcedure = "prov.fork"

// Fork makes target a working system as of a moment: independent of the source, with all
// tables, runs and journals. target is an open database of the same engine that has the services' tables, without
// rows, and no others. It is filled in one transaction, and what is written is read back
// and compared. Indexes, views and triggers are as they are now. progress may be nil.
func (s *Service) Fork(ctx context.Context, at Moment, target dbms.DB, progress func(Progress)) (*ForkReport, error) {
	w, err := s.past(ctx)
	if err != nil {
		return nil, err
	}
	b, err := newBuilding(ctx, s, w, target, at)
	if err != nil {
		return nil, err
	}
	if progress != nil {
		b.progress = progress
	}
	call := abi.Call{Procedure: ForkProcedure, Principal: abi.System}
	if _, err := target.UpdateExclusive(ctx, call, nil, func(tx dbms.Tx) error { return b.run(ctx, tx) }); err != nil {
		return nil, err
	}
	b.report.At = at
	return b.report, nil
}
