package sched

import (
	"context"
	"embed"

	"github.com/dbos-go/dbos/dbms"
)

//go:embed schema/*.sql
var files embed.FS

//go:embed queries.sql
var source string

// Schema is what the service brings to a database.
func Schema() dbms.Schema {
	return dbms.Schema{Owner: "sched", Files: files, Queries: source}
}

// A Service is the scheduler of one database.
type Service struct {
	q queries
}

type queries struct {
	TaskInsert, TaskGet, TaskList, TaskListLive, TaskCount  *dbms.Query
	TaskClaim, TaskRunning, TaskReady, TaskNextDue, TaskDue *dbms.Query
	TaskFinish, TaskPark, TaskAwait, TaskAwaited, TaskWake  *dbms.Query
	TaskCancel, TaskResume, TaskRelease, TaskRecover        *dbms.Query
	TaskPoisoned, QueuePut, QueueList, QueueGet             *dbms.Query
	WorkerInsert, WorkerDelete, WorkerExpire                *dbms.Query
}

// New brings the service's tables up to date and returns the service.
func New(ctx context.Context, db dbms.DB) (*Service, error) {
	s := &Service{}
	if err := Schema().Install(ctx, db, &s.q); err != nil {
		return nil, err
	}
	return s, nil
}

// Topics that the service notifies.
const (
	// Ready is notified when a task may have become claimable, or waits for
	// a time.
	Ready = "sched.ready"
	// Changed is notified whenever a task changes its state.
	Changed = "runs"
	// Cancelled is notified when running tasks were cancelled.
	Cancelled = "sched.cancelled"
)

// NewsOf is the topic of one task's outcome and events.
func NewsOf(id string) string { return "run:" + id }
