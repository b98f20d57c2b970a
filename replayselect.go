package dbos

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/footprint"
	"github.com/dbos-go/dbos/service/sched"
	"github.com/dbos-go/dbos/service/workflow"
	"github.com/dbos-go/dbos/warehouse"
)

// replaying finds the runs to replay and what is recorded of them.
func (h *History) replaying(ctx context.Context, o ReplayOptions) (*replaying, error) {
	s := h.sys
	if err := s.options.houseless("dbos.replay"); err != nil {
		return nil, err
	}
	if o.Limit < 0 {
		return nil, abi.Errorf("dbos.replay", abi.Invalid, "option Limit", "%d is negative", o.Limit)
	}
	s.mu.Lock()
	registered := len(s.definitions)
	s.mu.Unlock()
	if registered == 0 {
		return nil, abi.Errorf("dbos.replay", abi.Unsupported, "program", "it has registered no workflows, so it has nothing to replay runs with").
			WithHint("replay in the program that has the workflows, or in its tests: see package replaytest")
	}
	if err := h.Flush(ctx); err != nil {
		return nil, err
	}
	house, err := h.open(ctx, "dbos.replay")
	if err != nil {
		return nil, err
	}
	r := &replaying{sys: s, house: house, options: o, texts: map[int64]string{}, commits: map[string]map[int]*pastCommit{}}
	r.progress("reading", 0, 0)
	tasks, err := r.choose(ctx)
	if err != nil {
		return nil, err
	}
	r.total = int64(len(tasks))
	if err := r.read(ctx, tasks); err != nil {
		return nil, err
	}
	for _, t := range tasks {
		r.admit(t)
	}
	return r, r.define(ctx)
}

// define reads how the tables are defined.
func (r *replaying) define(ctx context.Context) error {
	db := r.sys.db
	return db.View(ctx, func(tx dbms.Tx) error {
		r.tables = map[string]*tableShape{}
		list, err := db.Tables(tx)
		for _, t := range list {
			if shape := newTableShape(t); shape != nil {
				r.tables[t.Table] = shape
			}
			if t.Table == taskTable {
				r.taskID = slices.Index(t.Columns, "id")
			}
		}
		return err
	})
}

// taskTable has the runs.
const taskTable = "sched_task"

// childOf returns the run that an inserted row of taskTable is.
func (r *replaying) childOf(row []dbms.Value) string {
	if r.taskID < 0 || r.taskID >= len(row) {
		return ""
	}
	id, _ := row[r.taskID].(string)
	return id
}

// chosenRuns selects ended runs: $1 since, $2 names (JSON array or NULL), $3 limit.
var chosenRuns = map[string]*dbms.Query{
	"sqlite": dbms.System(`SELECT id FROM sched_task WHERE created_at >= $1 AND state IN ('succeeded', 'failed', 'cancelled')
		AND ($2 IS NULL OR name IN (SELECT value FROM json_each($2))) ORDER BY seq DESC LIMIT $3`),
	"postgres": dbms.System(`SELECT id FROM sched_task WHERE created_at >= $1 AND state IN ('succeeded', 'failed', 'cancelled')
		AND ($2::text IS NULL OR name = ANY (ARRAY(SELECT jsonb_array_elements_text($2::jsonb)))) ORDER BY seq DESC LIMIT $3::bigint`),
}

// maxReplay bounds how many runs one replay has, which are in memory.
const maxReplay = 1_000_000

// choose returns the tasks of the runs to replay.
func (r *replaying) choose(ctx context.Context) ([]*sched.Task, error) {
	ids, o, s := r.options.Runs, r.options, r.sys
	var since int64
	if len(ids) == 0 && o.Since != "" {
		m, err := s.prov.Resolve(ctx, o.Since)
		if err != nil {
			return nil, err
		}
		since = m.Time.UnixMicro()
	}
	var names *string
	if len(o.Names) > 0 {
		text, err := json.Marshal(o.Names)
		if err != nil {
			return nil, abi.Errorf("dbos.replay", abi.Invalid, "option Names", "%w", err)
		}
		names = new(string(text))
	}
	var tasks []*sched.Task
	err := s.db.View(ctx, func(tx dbms.Tx) error {
		tasks = nil
		list := ids
		if len(ids) == 0 {
			limit := o.Limit
			if limit == 0 {
				limit = maxReplay
			}
			var err error
			if list, err = texts(tx, chosenRuns[s.db.Status().Engine], since, names, limit); err != nil {
				return err
			}
		}
		for _, id := range list {
			t, err := s.tasks.Get(tx, id)
			if err != nil {
				return err
			}
			if len(ids) == 0 || len(o.Names) == 0 || slices.Contains(o.Names, t.Name) {
				tasks = append(tasks, t)
			}
		}
		return nil
	})
	return tasks, err
}

// texts returns the first column of a query's rows.
func texts(tx dbms.Tx, q *dbms.Query, args ...any) ([]string, error) {
	rows, err := tx.Query(q, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}

// A pastCommit is the recorded transaction of a step.
type pastCommit struct {
	warehouse.Commit
	// saw is the state that the step's function saw, at the time now.
	saw dbms.LSN
	now int64
	// noted says that its statements are recorded.
	noted bool
	// changes of the application's tables, and the runs that were started, are
	// there when the step is about to be replayed.
	changes  []warehouse.Change
	children []string
	loaded   bool
}

// few is for how many runs each is looked up by itself.
const few = 20

// read finds the transactions of the steps of runs.
func (r *replaying) read(ctx context.Context, tasks []*sched.Task) error {
	wanted := map[string]bool{}
	for _, t := range tasks {
		wanted[t.ID] = true
	}
	if len(tasks) <= few {
		for id := range wanted {
			if err := r.readCommits(ctx, warehouse.Filter{Execution: id}, wanted); err != nil {
				return err
			}
		}
	} else if err := r.readCommits(ctx, warehouse.Filter{}, wanted); err != nil {
		return err
	}
	for _, steps := range r.commits {
		for _, c := range steps {
			r.order = append(r.order, c.LSN)
		}
	}
	slices.Sort(r.order)
	return nil
}

func (r *replaying) readCommits(ctx context.Context, f warehouse.Filter, wanted map[string]bool) error {
	f.Limit = dbms.MaxBatch
	for {
		list, err := r.house.Commits(ctx, f)
		if err != nil {
			return err
		}
		for _, c := range list {
			f.After = c.LSN
			if c.Call.Step > 0 && wanted[c.Call.Execution] {
				r.keep(c)
			}
		}
		if len(list) < f.Limit {
			return nil
		}
	}
}

// keep notes a step's transaction. If a step was done twice, because the first time
// was taken back, the last one counts.
func (r *replaying) keep(c warehouse.Commit) {
	past := &pastCommit{Commit: c, saw: c.Snapshot, now: c.Time.UnixMicro(), noted: len(c.Note) > 0}
	past.Footprint.Reads = slices.DeleteFunc(past.Footprint.Reads, func(read footprint.Read) bool {
		if read.Table != snapshotTable || len(read.Key) != 2 {
			return false
		}
		lsn, _ := read.Key[0].(int64)
		now, _ := read.Key[1].(int64)
		past.saw, past.now = dbms.LSN(lsn), now
		return true
	})
	steps := r.commits[c.Call.Execution]
	if steps == nil {
		steps = map[int]*pastCommit{}
		r.commits[c.Call.Execution] = steps
	}
	steps[c.Call.Step] = past
}

// admit puts a run into the queue, or says why it cannot be replayed.
func (r *replaying) admit(t *sched.Task) {
	run := &rerun{id: t.ID, r: r, task: t, commits: r.commits[t.ID], asks: make(chan *wanted), ended: make(chan struct{})}
	run.result = Replayed{Run: t.ID, Workflow: t.Name, Recorded: r.sys.recordedOutcome(t)}
	s := r.sys
	s.mu.Lock()
	run.def = s.definitions[t.Name]
	s.mu.Unlock()
	var why error
	switch _, err := s.codecOf(t); {
	case !t.State.Final():
		why = abi.Errorf("dbos.replay", abi.Conflict, "run "+t.ID, "it has not ended: it is %s", t.State)
	case run.def == nil:
		why = abi.Errorf("dbos.replay", abi.NotFound, "workflow "+t.Name, "this program has not registered it")
	case err != nil:
		why = err
	}
	if why != nil {
		r.skip(run, why)
		return
	}
	for _, c := range run.commits {
		if run.needs == 0 || c.saw < run.needs {
			run.needs = c.saw
		}
	}
	r.queue = append(r.queue, run)
}

func (r *replaying) skip(run *rerun, why error) {
	run.result.Skipped = r.sys.errors.failure(why, 0)
	r.skipped = append(r.skipped, run.result)
}

// missed returns why the history does not have all of a run's transactions, or
// nil.
func (run *rerun) missed(journal []workflow.Step) error {
	oldest := run.r.house.Oldest()
	for _, step := range journal {
		c := run.commits[step.Seq]
		if step.Kind != workflow.Transaction {
			continue
		}
		if c == nil || c.saw < oldest.LSN {
			return abi.Errorf("dbos.replay", abi.Trimmed, "run "+run.id, "the history does not have what its step %d saw; it begins at LSN %d, %s",
				step.Seq, oldest.LSN, oldest.Time.Format("2006-01-02 15:04:05 MST"))
		}
	}
	return nil
}

// recordedOutcome is how a run ended, for people and to compare.
func (s *System) recordedOutcome(t *sched.Task) string {
	switch {
	case t.State == sched.Canceled:
		return "cancelled"
	case t.Error != nil:
		return outcomeText(t.Codec, nil, s.errors.load(*t.Error))
	}
	return outcomeText(t.Codec, t.Output, nil)
}

func outcomeText(codec string, output *string, failure error) string {
	if failure != nil {
		return "error: " + failure.Error()
	}
	return string(payload(codec, output))
}
