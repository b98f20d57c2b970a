// Package workflow is durable execution, an OS service of Level 3: the journal
// of each execution. A step's outcome is recorded once; when the execution's
// function runs again after a crash, a recorded step returns its outcome
// instead of doing its work, and so the function arrives where it stopped.
//
// An execution is a task of the scheduler plus its journal. The two services
// meet in the tables: a journal entry is written only while the task row says
// that the writer still holds the task's lease, in the same statement.
package workflow
