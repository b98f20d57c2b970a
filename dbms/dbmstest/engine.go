package dbmstest

import (
	"context"
	"slices"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

// An Engine is what is examined.
type Engine struct {
	// Name is the engine's name, as dbms.Query.Text and dbms.Status know it.
	Name string
	// Label tells apart the ways in which one engine is examined; "" stands
	// for the name.
	Label string
	// Requires skips the test, or fails it where everything is required, if
	// this machine lacks what the engine needs. It may be nil.
	Requires func(testing.TB)
	// Open opens the database that belongs to a directory, which exists and
	// is empty the first time. Opened again after Close, or after the death
	// of the process that had it, it is the same database.
	Open func(ctx context.Context, dir string, o dbms.Options) (dbms.DB, error)
	// Dialect is the engine's SQL where it is its own.
	Dialect Dialect
	// Directory says that the directory holds the data, and that one process
	// at a time may have it open. Such an engine is examined with a full
	// disk and with a second owner.
	Directory bool
}

// A subject is a part of the examination.
type subject struct {
	name    string
	examine func(*testing.T, Engine)
}

// subjects are the parts of the examination, in its order.
var subjects = []subject{
	{"Atomicity", examineAtomicity},
	{"Group", examineGroup},
	{"Timeout", examineTimeout},
	{"Bank", examineBank},
	{"Histories", examineHistories},
	{"Changes", examineChanges},
	{"ChangesOfCases", examineCases},
	{"ChangesInOrder", examineFeed},
	{"Calls", examineCalls},
	{"Notes", examineNotes},
	{"Tables", examineTables},
	{"Exclusive", examineExclusive},
	{"Clock", examineClock},
	{"Trim", examineTrim},
	{"Notify", examineNotify},
	{"View", examineView},
	{"Interrupt", examineInterrupt},
	{"Statements", examineStatements},
	{"Values", examineValues},
	{"Prepare", examinePrepare},
	{"Migrate", examineMigrate},
	{"Rights", examineRights},
	{"Misuse", examineMisuse},
	{"Close", examineClose},
	{"Crash", examineCrash},
	{"Disk", examineDisk},
}

// Examine runs the whole examination as subtests of t. With -short it does so
// in fewer rounds.
func Examine(t *testing.T, e Engine) { ExamineWithout(t, e) }

// ExamineWithout is Examine without some subjects. It is for an engine that is
// examined in several ways: what does not depend on the way need not be
// examined in each.
func ExamineWithout(t *testing.T, e Engine, without ...string) {
	e.Need(t)
	for _, name := range without {
		if !slices.ContainsFunc(subjects, func(s subject) bool { return s.name == name }) {
			t.Fatalf("there is no subject %s", name)
		}
	}
	for _, s := range subjects {
		if !slices.Contains(without, s.name) {
			t.Run(s.name, func(t *testing.T) { s.examine(t, e) })
		}
	}
}

func (e Engine) label() string {
	if e.Label == "" {
		return e.Name
	}
	return e.Label
}

// Need skips the test if this machine lacks what the engine needs. Tests that
// call Open themselves call it before.
func (e Engine) Need(t testing.TB) {
	if e.Requires != nil {
		e.Requires(t)
	}
}

// rounds is n, or a fraction of it with -short or with the race detector.
func rounds(n int) int {
	if testing.Short() || raced {
		return max(1, n/4)
	}
	return n
}
