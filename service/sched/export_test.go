package sched

import "time"

// RaiseFloors lets the time pass after which floors are raised. It says that
// the next claim must not read from the beginning, however quick that is.
func (s *Service) RaiseFloors() {
	s.claims.mu.Lock()
	defer s.claims.mu.Unlock()
	s.claims.raised = time.Time{}
	s.claims.full = time.Now().Add(time.Hour)
}
