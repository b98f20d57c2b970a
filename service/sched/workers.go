package sched

import (
	"time"

	"github.com/dbos-go/dbos/dbms"
)

// A Worker is a process that executes tasks.
type Worker struct {
	ID      string
	Started time.Time
	Alive   bool // its lease lasts
	Running int  // tasks that it executes
}

// Workers returns the living workers and those that died lately, the oldest
// first.
func (s *Service) Workers(tx dbms.Tx) ([]Worker, error) {
	rows, err := tx.Query(s.q.WorkerList)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Worker
	for rows.Next() {
		var w Worker
		if err := rows.Scan(&w.ID, &w.Started, &w.Alive, &w.Running); err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, rows.Err()
}
