package undo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
)

// A Scratch opens a database of the same engine to run statements on, with the
// services' tables and nothing in them, and says how to be rid of it. It may be called twice.
type Scratch func(ctx context.Context) (db dbms.DB, discard func() error, err error)

// Procedure is the name of the undo's transaction in the history.
const Procedure = "prov.undo"

// PlanUndo says what Do would do, and changes nothing. With the policy Abort it
// succeeds, and lists what Do would refuse for.
//
// Errors: abi.Invalid for options that say nothing or contradict each other,
// abi.NotFound for a run, principal or function without a commit, abi.Trimmed when
// the history does not go back to the seeds, and those of prov.Service.Resolve.
func PlanUndo(ctx context.Context, s *prov.Service, scratch Scratch, o Options) (*Plan, error) {
	u, err := begin(ctx, s, scratch, &o)
	if err != nil {
		return nil, err
	}
	defer u.end()
	now, err := s.Flush(ctx)
	if err != nil {
		return nil, err
	}
	if err := u.advance(ctx, now); err != nil {
		return nil, err
	}
	err = s.DB().View(ctx, func(tx dbms.Tx) error {
		var err error
		u.plan, err = u.report(tx)
		return err
	})
	return u.plan, err
}

// Do undoes, as one recorded transaction, or changes nothing. It plans while the
// system works, and again for what came in between once it is alone with the
// tables; the plan that it returns is what was done. With the policy Abort and
// work that followed the error is of kind abi.Conflict, and the plan is returned with it.
func Do(ctx context.Context, s *prov.Service, scratch Scratch, o Options) (*Plan, error) {
	u, err := begin(ctx, s, scratch, &o)
	if err != nil {
		return nil, err
	}
	defer u.end()
	for range maxTries {
		if err := u.catchUp(ctx); err != nil {
			return nil, err
		}
		lsn, err := u.alone(ctx)
		if errors.Is(err, errNoStage) {
			continue
		}
		if err != nil {
			if u.refused {
				return u.plan, err
			}
			return nil, err
		}
		u.plan.LSN = lsn
		return u.plan, nil
	}
	return nil, abi.Errorf("prov.undo", abi.Unavailable, "database", "too much happens while the undo is planned").WithHint("try again when there is less to do")
}

// maxTries is how often the undo tries to be alone with the tables.
const maxTries = 5

// An undoing is one undo, or the planning of it.
type undoing struct {
	s       *prov.Service
	o       *Options
	w       store
	source  *source
	copier  *copier
	walk    *walk
	start   dbms.LSN
	plan    *Plan
	refused bool // because of the policy
}

func begin(ctx context.Context, s *prov.Service, scratch Scratch, o *Options) (*undoing, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(prov.Progress) {}
	}
	o.Progress(prov.Progress{Phase: "reading history"})
	if _, err := s.Flush(ctx); err != nil {
		return nil, err
	}
	w, err := s.Warehouse(ctx)
	if err != nil {
		return nil, err
	}
	sd, err := findSeeds(ctx, s, w, o)
	if err != nil {
		return nil, err
	}
	before, start, err := findEarlier(ctx, s, w, sd.first-1)
	if err != nil {
		return nil, err
	}
	u := &undoing{s: s, o: o, w: w, start: start}
	err = s.DB().View(ctx, func(tx dbms.Tx) error {
		cat, err := readCatalog(tx, s.DB())
		if err == nil {
			err = cat.readDefaults(tx)
		}
		u.source = newSource(w, s.DB(), cat)
		return err
	})
	if err != nil {
		return nil, err
	}
	t := newTape(u.source, u.start)
	u.copier = &copier{s: s, scratch: scratch, source: u.source, tape: t, progress: o.Progress}
	u.walk = newWalk(o.Policy, t, &stages{open: u.copier.open}, u.source.cat, sd.named)
	u.walk.pos, u.walk.before = u.start, before
	return u, nil
}

// end discards the copies.
func (u *undoing) end() { u.copier.close() }

// advance decides all commits up to an LSN.
func (u *undoing) advance(ctx context.Context, upto dbms.LSN) error {
	reported := u.walk.pos
	return u.walk.advance(ctx, upto, func(pos dbms.LSN) {
		if pos-reported >= progressLSNs || pos < reported {
			reported = pos
			u.o.Progress(prov.Progress{Phase: "following the work", Rows: int64(pos - u.start), Total: int64(upto - u.start)})
		}
	})
}

// progressLSNs is how often somebody is told how far the walk is.
const progressLSNs = 1000

// catchUp advances as long as that leaves less to do alone: if the system works
// faster than its work can be followed, the rest has to be done while it stands still.
func (u *undoing) catchUp(ctx context.Context) error {
	for left := latest; ; {
		now, err := u.s.Flush(ctx)
		if err != nil {
			return err
		}
		if n := now - u.walk.pos; n == 0 || n > left/2 {
			return nil
		} else {
			left = n
		}
		if err := u.advance(ctx, now); err != nil {
			return err
		}
	}
}

// alone decides about what came in between and changes the rows, while nobody
// else changes them.
func (u *undoing) alone(ctx context.Context) (dbms.LSN, error) {
	u.o.Progress(prov.Progress{Phase: "undoing"})
	u.copier.alone = true
	defer func() { u.copier.alone = false }()
	call := abi.Call{Procedure: Procedure, Principal: u.o.By}
	var began time.Time
	lsn, err := u.s.DB().UpdateExclusive(ctx, call, u.tables(), func(tx dbms.Tx) error {
		began, u.refused = time.Now(), false
		now := tx.LSN()
		if _, err := u.w.Spool(ctx, u.s.DB(), now); err != nil {
			return err
		}
		if err := u.advance(ctx, now); err != nil {
			return err
		}
		p, err := u.report(tx)
		if err != nil {
			return err
		}
		u.plan = p
		if err := u.refusal(); err != nil {
			u.refused = true
			return err
		}
		return u.apply(tx)
	})
	if err == nil {
		u.plan.Took = time.Since(began)
	}
	return lsn, err
}

// tables are the names of all tables of the application, and of the runs'.
func (u *undoing) tables() []string {
	names := []string{taskTable}
	for _, name := range u.source.cat.names() {
		names = append(names, u.source.cat.tables[name].name)
	}
	return names
}

// refusal is why the policy forbids the undo, or nil.
func (u *undoing) refusal() error {
	if u.o.Policy != Abort {
		return nil
	}
	followers := 0
	for _, l := range u.plan.Chain {
		if !l.Seed {
			followers++
		}
	}
	if followers == 0 && len(u.plan.Conflicts) == 0 {
		return nil
	}
	return abi.Errorf("prov.undo", abi.Conflict, "policy", "later work followed (%d) or cannot be decided (%d), and nothing was undone", followers, len(u.plan.Conflicts)).
		WithHint("look at the plan; %s takes that work back too, %s lets it stand", Cascade, OnlyUntouched)
}

var insertUndo = dbms.System(`INSERT INTO prov_undo (id, execution, lsn, at, principal, reason, report) VALUES ($1, $2, $3, $4, $5, $6, $7)`)

// apply changes the rows, stops the runs, and writes down what was undone.
func (u *undoing) apply(tx dbms.Tx) error {
	rows := map[string][]prov.RowState{}
	for _, e := range inOrder(u.walk.over.differs(latest, nil)) {
		rows[e.id.table] = append(rows[e.id.table], prov.RowState{Key: e.key, Row: e.as(latest).repaired})
	}
	var tables []string
	for _, t := range u.plan.Tables {
		tables = append(tables, t.Name)
	}
	if len(tables) > 0 {
		err := prov.Rewrite(tx, u.s.DB(), tables, func() error {
			for i, name := range tables {
				done, err := prov.Apply(tx, u.s.DB(), u.source.cat.table(name).define, rows[name])
				if err != nil {
					return err
				}
				u.plan.Tables[i].Applied = done
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if u.o.Cancel != nil {
		for _, r := range u.plan.Unfinished {
			if _, err := u.o.Cancel(tx, r.ID); err != nil {
				return err
			}
		}
	}
	u.plan.ID = fmt.Sprintf(undoID, tx.LSN())
	for _, l := range u.plan.Chain {
		if !l.Undone {
			continue
		}
		text, err := json.Marshal(record{l, u.o.Policy})
		if err != nil {
			return err
		}
		if _, err := tx.Exec(insertUndo, u.plan.ID, l.key(), l.LSN, tx.Now(), string(u.o.By), l.Why, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// errNoStage says that a copy is needed while nobody may wait for it.
var errNoStage = errors.New("there is no copy yet")

// A copier makes copies of the database for stages.
type copier struct {
	s        *prov.Service
	scratch  Scratch
	source   *source
	tape     *tape
	progress func(prov.Progress)
	alone    bool // there is no time to make one
	machines []*prov.Machine
	discards []func() error
}

// open makes a stage over a copy as of an LSN.
func (c *copier) open(ctx context.Context, at dbms.LSN, _ bool) (*stage, error) {
	if c.alone {
		return nil, errNoStage
	}
	c.progress(prov.Progress{Phase: "copying"})
	db, discard, err := c.scratch(ctx)
	if err != nil {
		return nil, err
	}
	if discard != nil {
		c.discards = append(c.discards, discard)
	}
	m, err := prov.NewMachine(ctx, c.s, db)
	if err != nil {
		return nil, err
	}
	c.machines = append(c.machines, m)
	alike, err := c.source.alike(ctx, at)
	if err != nil {
		return nil, err
	}
	// A machine makes tables what they were. Statements run on what they are,
	// so if that differs the stage goes back by itself, from now.
	if alike {
		if err := m.Seek(ctx, at); err != nil {
			return nil, err
		}
	}
	return newStage(ctx, db, m.At(), c.tape)
}

func (c *copier) close() {
	for _, m := range c.machines {
		_ = m.Close() // it is a copy
	}
	for _, discard := range c.discards {
		_ = discard()
	}
}
