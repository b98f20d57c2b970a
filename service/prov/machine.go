package prov

import (
	"context"

	"github.com/dbos-go/dbos/dbms"
)

// A Machine is the time machine: a scratch copy of the database that can be
// moved to any moment, forward and back, at a cost that goes with the distinct
// rows between.
type Machine struct {
	source *Service
	db     dbms.DB
	at     dbms.LSN
}

// NewMachine makes a copy of the source in scratch, a database with no tables
// of its own yet, which stays the caller's. The copy is as of now: see At. Application triggers and
// foreign keys are in it; services' tables have rows too.
func NewMachine(ctx context.Context, source *Service, scratch dbms.DB) (*Machine, error) {
	return nil, notYet("prov.machine")
}

// Seek moves the copy to the state as of an LSN. What others have done in the copy since
// the last Seek is overwritten only where rows differ between the moments: roll it back. After an error the
// machine is where it was.
func (m *Machine) Seek(ctx context.Context, lsn dbms.LSN) error { return notYet("prov.seek") }

// At is where the machine is.
func (m *Machine) At() dbms.LSN { return m.at }

// DB is the copy.
func (m *Machine) DB() dbms.DB { return m.db }

// Close releases the machine; the scratch database stays open.
func (m *Machine) Close() error { return nil }
