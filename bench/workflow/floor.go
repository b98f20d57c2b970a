package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/bare"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

// floor measures SQLite alone with the rows that the workflows write, in the
// same tables: a task, each step's journal row (and the row of a transaction
// step), and the update that finishes the task. Every caller's step i is in
// the same commit: with so many callers it cannot take fewer.
func (l load) floor(ctx context.Context) (result measure.Result, err error) {
	dir, err := os.MkdirTemp(l.Dir, "dbos-bench-")
	if err != nil {
		return result, err
	}
	defer os.RemoveAll(dir)
	schema, err := l.schema(ctx)
	if err != nil {
		return result, err
	}
	db, err := bare.Open(dir, l.durability, schema)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	w := writes{load: l, db: db}
	if err := w.prepare(); err != nil {
		return result, err
	}
	alone := measure.Load{Callers: 1, Warmup: l.Warmup(), Duration: l.Duration}
	result, err = alone.Run(func(int) error { return w.all() })
	result.Operations *= int64(l.callers)
	return result, err
}

// schema returns the definitions of the tables and indexes that a workflow's
// rows are in, as DBOS makes them.
func (l load) schema(ctx context.Context) (text string, err error) {
	dir, err := os.MkdirTemp(l.Dir, "dbos-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	sys, err := l.open(ctx, dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	var all strings.Builder
	err = sys.View(ctx, func(tx *dbos.Tx) error {
		rows, err := tx.Query(`SELECT sql FROM sqlite_schema
			WHERE tbl_name IN ('sched_task', 'wf_step', 'item') AND type IN ('table', 'index') AND sql IS NOT NULL
			ORDER BY type DESC`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var sql string
			if err := rows.Scan(&sql); err != nil {
				return err
			}
			all.WriteString(sql + ";\n")
		}
		return rows.Err()
	})
	return all.String(), err
}

const (
	taskInsert = `INSERT INTO sched_task (id, name, queue, state, priority, codec, input, principal, version, worker,
	epoch, attempt, created_at, started_at) VALUES (?1, 'bench', '', 'running', 0, 'json', '1', '', '', 'node/1/0', 1, 1, ?2, ?2)`
	stepInsert = `INSERT INTO wf_step (execution, seq, kind, name, output, attempts, started_at, finished_at)
	VALUES (?1, ?2, 'step', 'step', '1', 1, ?3, ?3)`
	taskFinish = `UPDATE sched_task SET state = 'succeeded', output = '1', finished_at = ?2, worker = NULL
	WHERE id = ?1 AND epoch = 1 AND state = 'running'`
)

// writes are the statements of the floor.
type writes struct {
	load
	db                       *bare.DB
	task, step, item, finish *sqlite.Stmt
	ids                      []string
	next                     int
}

func (w *writes) prepare() error {
	w.ids = make([]string, w.callers)
	for _, p := range []struct {
		stmt **sqlite.Stmt
		sql  string
	}{{&w.task, taskInsert}, {&w.step, stepInsert}, {&w.item, itemInsert}, {&w.finish, taskFinish}} {
		stmt, err := w.db.Prepare(p.sql)
		if err != nil {
			return err
		}
		*p.stmt = stmt
	}
	return nil
}

// all writes one workflow of each caller.
func (w *writes) all() error {
	err := w.db.Group(w.callers, true, func(i int) error {
		w.next++
		w.ids[i] = "0198c3a2-7c1e-7000-8000-" + strconv.Itoa(1e11+w.next) // as long as a UUID
		return execute(w.task, w.ids[i], time.Now().UnixMicro())
	})
	for step := range w.steps {
		err = errors.Join(err, w.db.Group(w.callers, true, func(i int) error { return w.stepOf(i, step) }))
	}
	return errors.Join(err, w.db.Group(w.callers, true, func(i int) error {
		return execute(w.finish, w.ids[i], time.Now().UnixMicro())
	}))
}

func (w *writes) stepOf(caller, step int) error {
	if w.transaction {
		w.item.BindInt64(1, int64(caller))
		w.item.BindInt64(2, int64(step))
		if err := bare.Run(w.item); err != nil {
			return err
		}
	}
	w.step.BindInt64(2, int64(step+1))
	w.step.BindInt64(3, time.Now().UnixMicro())
	w.step.BindText(1, w.ids[caller])
	return bare.Run(w.step)
}

// execute runs a statement whose parameters are an ID and a time.
func execute(stmt *sqlite.Stmt, id string, now int64) error {
	stmt.BindText(1, id)
	stmt.BindInt64(2, now)
	return bare.Run(stmt)
}
