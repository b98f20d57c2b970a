// Package sched is the scheduler, an OS service of Level 3. The task table is
// the process table: one row for each workflow execution, from its submission
// to its outcome, with the lease of the worker that executes it.
//
// A task is claimed by a worker under an epoch, a fencing token that grows
// with every claim: each later write on behalf of the task names the epoch
// and changes nothing when the task has been taken over or cancelled since.
//
// Exported methods take the caller's dbms.Tx, so that a task can be submitted,
// finished or woken together with other work in one transaction.
package sched
