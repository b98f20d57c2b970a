package sched

import (
	"context"
	"embed"
	"sync/atomic"

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
	q      queries
	db     dbms.DB
	shared dbms.Gatherer // db, if many machines share it, or nil
	claims claims
	last   atomic.Int64 // the last creation time given out: see created
	ground atomic.Int64 // of the epochs, if this process is the database's only one
}

type queries struct {
	TaskInsert, TaskGet, TaskList, TaskListLive, TaskCount  *dbms.Query
	TaskClaim, TaskRunning, TaskReady, TaskNextDue, TaskDue *dbms.Query
	TaskFinish, TaskPark, TaskAwait, TaskAwaited, TaskWake  *dbms.Query
	TaskCancel, TaskResume, TaskRelease, TaskRecover        *dbms.Query
	TaskPoisoned, QueuePut, QueueList, QueueGet             *dbms.Query
	WorkerInsert, WorkerDelete, WorkerExpire, WorkerList    *dbms.Query
	FenceRaise, FenceGround, FenceRequeue                   *dbms.Query

	// Of engines that many machines share.
	TaskSubmit, TaskSubmitMany, TaskFinishMany, TaskProbe, TaskLock *dbms.Query
	TaskStrays, TaskYield, QueueLock                                *dbms.Query
	WorkerBeat, WorkerPurge                                         *dbms.Query
}

// New brings the service's tables up to date and returns the service.
func New(ctx context.Context, db dbms.DB) (*Service, error) {
	s := &Service{db: db}
	s.shared, _ = db.(dbms.Gatherer)
	if err := Schema().Install(ctx, db, &s.q); err != nil {
		return nil, err
	}
	if s.shared != nil {
		return s, nil
	}
	err := db.View(ctx, func(tx dbms.Tx) error {
		ground, err := s.readGround(tx)
		s.ground.Store(ground)
		return err
	})
	return s, err
}

// Shared reports whether other machines may work on the database. If not, its
// one worker holds a lease as long as it lives, and needs no heartbeat.
func (s *Service) Shared() bool { return s.shared != nil }

// Topics that the service notifies.
const (
	// Ready is notified when a task may have become claimable, or waits for
	// a time.
	Ready = "sched.ready"
	// Changed is notified whenever a task changes its state.
	Changed = "runs"
	// Queues is notified when a queue or its limits are new.
	Queues = "sched.queues"
	// Cancelled is notified when running tasks were cancelled.
	Cancelled = "sched.cancelled"
)

// NewsOf is the topic of one task's outcome and events.
func NewsOf(id string) string { return "run:" + id }
