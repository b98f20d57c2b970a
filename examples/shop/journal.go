package main

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// A Journal is one order with the steps that its workflow has finished.
type Journal struct {
	Order    string          `json:"order"`
	Run      string          `json:"run"` // state
	Input    Order           `json:"input"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    string          `json:"error,omitempty"`
	PlacedAt time.Time       `json:"placed_at"`
	Finished *time.Time      `json:"finished_at,omitempty"`
	Steps    []JournalStep   `json:"steps"`
}

// A JournalStep is one line of a journal.
type JournalStep struct {
	Seq      int             `json:"seq"`
	Name     string          `json:"name"`
	Kind     string          `json:"kind"`
	Output   json.RawMessage `json:"output,omitempty"`
	Error    string          `json:"error,omitempty"`
	Started  time.Time       `json:"started_at"`
	Finished time.Time       `json:"finished_at"`
	Attempts int             `json:"attempts"`
	PID      int             `json:"pid,omitempty"` // of the process that finished it, if still known
}

// journal reads an order's journal. It knows no order: abi.NotFound.
func (s *Shop) journal(ctx context.Context, id string) (Journal, error) {
	run, err := s.sys.Lookup(ctx, id)
	if err != nil {
		return Journal{}, err
	}
	j := Journal{
		Order: run.ID, Run: string(run.State), Output: run.Output,
		PlacedAt: run.CreatedAt, Finished: run.FinishedAt, Steps: []JournalStep{},
	}
	if err := json.Unmarshal(run.Input, &j.Input); err != nil {
		return Journal{}, err
	}
	j.Input.Card = payment.Mask(j.Input.Card)
	if run.Error != nil {
		j.Error = run.Error.Message
	}
	steps, err := s.sys.Journal(ctx, id)
	if err != nil {
		return Journal{}, err
	}
	pids, err := s.processes(ctx, id)
	if err != nil {
		return Journal{}, err
	}
	for _, step := range steps {
		line := JournalStep{
			Seq: step.Seq, Name: step.Name, Kind: step.Kind, Output: step.Output,
			Started: step.StartedAt, Finished: step.FinishedAt, Attempts: step.Attempts, PID: pids[step.Seq],
		}
		if step.Error != nil {
			line.Error = step.Error.Message
		}
		j.Steps = append(j.Steps, line)
	}
	return j, nil
}

// recentCalls is how many transactions back processes looks.
const recentCalls = 50_000

// processes returns which process recorded each step of a run: every
// committed transaction is a row that says by whom it was made, and for what.
func (s *Shop) processes(ctx context.Context, id string) (map[int]int, error) {
	pids := map[int]int{}
	err := s.sys.View(ctx, func(tx *dbos.Tx) error {
		rows, err := tx.Query(`
			SELECT step, node FROM (SELECT execution, step, node FROM dbos_transaction ORDER BY lsn DESC LIMIT $1) AS recent
			WHERE execution = $2 AND step > 0`, recentCalls, id)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var step int
			var node string // HOST/PID/START
			if err := rows.Scan(&step, &node); err != nil {
				return err
			}
			if parts := strings.Split(node, "/"); len(parts) > 1 {
				pids[step], _ = strconv.Atoi(parts[len(parts)-2])
			}
		}
		return rows.Err()
	})
	return pids, err
}
