package prov

import (
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A View is what somebody read outside of a transaction. Reading changes
// nothing, so history does not have it, and it is written down afterwards.
type View struct {
	ID        string   // anything that no other has
	LSN       dbms.LSN // the snapshot that was read
	At        time.Time
	Principal abi.Principal
	Procedure string
	Execution string // "" outside of one
	Note      []byte // a footprint
}

// AddViews writes views down. One that is there already is left alone.
func (s *Service) AddViews(tx dbms.Tx, views []View) error {
	for _, v := range views {
		_, err := tx.Exec(s.q.ViewInsert, v.ID, v.LSN, v.At, v.Principal, v.Procedure, v.Execution, v.Note)
		if err != nil {
			return err
		}
	}
	return nil
}

// ForgetViews removes views from before a time, at most limit of them, and
// returns how many there were. History keeps them as long as anything else.
func (s *Service) ForgetViews(tx dbms.Tx, before time.Time, limit int) (int64, error) {
	return tx.Exec(s.q.ViewForget, before, limit)
}
