package sched

import "github.com/dbos-go/dbos/dbms"

// RaiseGround makes all epochs that anybody holds history: none of them is
// given again, to no task, not even to one that is deleted and submitted anew. It is called
// in the transaction that is about to put the tasks back to a moment, before it does.
func (s *Service) RaiseGround(tx dbms.Tx) error {
	if _, err := tx.Exec(s.q.FenceRaise); err != nil {
		return err
	}
	if s.shared != nil {
		return nil // statements read it themselves
	}
	ground, err := s.readGround(tx)
	// If the transaction is rolled back after all, the ground is higher here than
	// in the table, which does no harm.
	s.ground.Store(max(ground, s.ground.Load()))
	return err
}

// Requeue gives the tasks that are running back to their queues, after they
// have been put back to a moment: whoever was executing them then, or is now, is fenced,
// and they are claimed under an epoch above the ground. It is called in the
// transaction that puts them back, after RaiseGround.
func (s *Service) Requeue(tx dbms.Tx) (int64, error) {
	n, err := tx.Exec(s.q.FenceRequeue)
	for _, topic := range []string{Ready, Changed, Queues, Cancelled} {
		tx.Notify(topic)
	}
	return n, err
}

func (s *Service) readGround(tx dbms.Tx) (ground int64, err error) {
	rows, err := tx.Query(s.q.FenceGround)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&ground)
	}
	if err == nil {
		err = rows.Err()
	}
	return ground, err
}
