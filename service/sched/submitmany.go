package sched

import (
	"context"
	"encoding/json"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// An Entry is what tells the tasks of one SubmitMany apart.
type Entry struct {
	ID    string `json:"id"`
	Input string `json:"input"`
}

// SubmitMany queues new tasks, all or none, in the order given. What they have
// in common is like's. An ID that exists is an error of kind abi.Exists.
func (s *Service) SubmitMany(ctx context.Context, call abi.Call, like *Task, entries []Entry) error {
	if err := checkPriority(like); err != nil {
		return err
	}
	if s.shared == nil {
		_, err := s.db.Update(ctx, call, func(tx dbms.Tx) error {
			for _, e := range entries {
				t := *like
				t.ID, t.Input = e.ID, e.Input
				if added, err := s.Submit(tx, &t); err != nil || !added {
					return taken(err)
				}
			}
			return nil
		})
		return err
	}
	list, err := json.Marshal(entries)
	if err != nil {
		return abi.Errorf("sched.submit", abi.Invalid, "tasks", "%w", err)
	}
	_, err = s.shared.UpdateReadCommitted(ctx, call, func(tx dbms.Tx) error {
		if like.Queue != "" {
			if known, err := exists(tx, s.q.QueueGet, like.Queue); err != nil {
				return err
			} else if !known {
				return noQueue(like.Queue)
			}
		}
		n, err := tx.Exec(s.q.TaskSubmitMany, string(list), like.Name, like.Queue, like.Priority, like.Codec, like.Parent,
			like.Principal, like.Version, tx.Now())
		if err != nil || n < int64(len(entries)) {
			return taken(err)
		}
		tx.Notify(Ready)
		tx.Notify(Changed)
		return nil
	})
	return err
}

// taken is the error of an ID that exists, unless there is another error.
func taken(err error) error {
	if err != nil {
		return err
	}
	return abi.Errorf("sched.submit", abi.Exists, "tasks", "one of the IDs exists; nothing was queued")
}
