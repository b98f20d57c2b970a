package prov

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A Moment is a state of the database: that as of its LSN.
type Moment struct {
	LSN  dbms.LSN  `json:"lsn"`
	Time time.Time `json:"time"` // of the last commit up to the LSN
	Text string    `json:"text"` // as it was asked for
}

// A Spec is a moment as it is written, before anybody looked whether it is
// there. One of its fields says which: Now, Time, LSN, Run.
type Spec struct {
	Text string
	Now  bool
	Time time.Time // all commits up to it
	LSN  dbms.LSN
	Run  string // what the run's first transaction saw,
	Step int    // or, if it is not 0, its step
}

// ParseMoment reads a moment as people write it:
//
//	now
//	16 minutes ago, 2h30m ago, 1 day ago
//	2026-11-21T18:05:30Z               (RFC 3339)
//	2026-11-21, 2026-11-21 18:05[:30[.123456]]   (now's zone)
//	18:05[:30[.123456]]                (today, in now's zone)
//	LSN 1234, 1234
//	run:ID, run:ID/3                   (what the run, or its step 3, saw)
//
// Any other text names a run. It looks at nothing but its arguments. A time of day that
// a change of the clocks skips or repeats is an error of kind abi.Invalid,
// as is a text that is no moment.
func ParseMoment(text string, now time.Time) (Spec, error) {
	return Spec{}, notYet("prov.moment")
}

// Resolve finds the moment that a text names (ParseMoment). Errors of kind
// abi.NotFound (no such run, after now) and abi.Trimmed (before the retention, or
// in a gap) name the oldest and the newest moment there is.
func (s *Service) Resolve(ctx context.Context, text string) (Moment, error) {
	return Moment{}, notYet("prov.moment")
}

// Bounds returns the oldest and the newest moment that can be asked for.
func (s *Service) Bounds(ctx context.Context) (oldest, newest Moment, err error) {
	return Moment{}, Moment{}, notYet("prov.bounds")
}

func notYet(op string) error {
	return abi.Errorf(op, abi.Unsupported, "", "this build does not have it yet")
}
