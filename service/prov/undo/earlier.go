package undo

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/warehouse"
)

// An undo that is in effect has made rows what they would be without the work
// that it took back. A later one continues from there: it takes that work as undone
// too, so that what was innocent then can be undone now.
type earlier struct {
	undos map[string]bool     // by their IDs
	works map[string]dbms.LSN // by key: the first commit that was taken back
}

// A record is the report of prov_undo.
type record struct {
	Link
	Policy Policy `json:"policy"`
}

var undoQuery = dbms.System(`SELECT id, execution, lsn, report FROM prov_undo ORDER BY id, execution`)

// findEarlier finds the undos that are in effect and were made after an LSN,
// and where to begin so that the work they took back is met as a whole. An undo is not in
// effect if there was a restore since, or if it let stand what had followed: then nobody
// knows which of its rows are repaired, and it is as any other change.
func findEarlier(ctx context.Context, s *prov.Service, w store, start dbms.LSN) (*earlier, dbms.LSN, error) {
	oldest := w.Oldest().LSN
	restores, err := w.Commits(ctx, warehouse.Filter{After: oldest, Procedure: prov.RestoreProcedure})
	if err != nil {
		return nil, 0, err
	}
	for {
		since := max(start, oldest)
		if n := len(restores); n > 0 {
			since = max(since, restores[n-1].LSN)
		}
		e := &earlier{undos: map[string]bool{}, works: map[string]dbms.LSN{}}
		if err := e.read(ctx, s.DB(), since, oldest); err != nil {
			return nil, 0, err
		}
		begin := start
		for _, first := range e.works {
			begin = min(begin, first-1)
		}
		if begin == start {
			return e, start, nil
		}
		start = begin // which may be before more of them
	}
}

// read reads the undos made at or after an LSN, of work after another.
func (e *earlier) read(ctx context.Context, db dbms.DB, since, oldest dbms.LSN) error {
	return db.View(ctx, func(tx dbms.Tx) error {
		clear(e.undos)
		clear(e.works)
		return each(tx, undoQuery, func(row []dbms.Value) error {
			var at dbms.LSN
			var r record
			id, lsn := text(row[0]), dbms.LSN(row[2].(int64))
			if _, err := fmt.Sscanf(id, undoID, &at); err != nil || at < since {
				return nil
			}
			if err := json.Unmarshal([]byte(text(row[3])), &r); err != nil {
				return abi.Errorf("prov.undo", abi.Corrupt, "undo "+id, "%w", err)
			}
			if r.Policy != OnlyUntouched && lsn > oldest {
				e.undos[id], e.works[text(row[1])] = true, lsn
			}
			return nil
		})
	})
}

// undoID is the form of an undo's ID: the state that it replaced.
const undoID = "undo-%d"

// work returns the first commit of a work that was undone before.
func (e *earlier) work(key string) (first dbms.LSN, ok bool) {
	if e == nil {
		return 0, false
	}
	first, ok = e.works[key]
	return first, ok
}
