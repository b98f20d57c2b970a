package prov

import (
	"context"
	"time"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// Status says how the following goes.
type Status struct {
	Dir     string        `json:"dir"`
	Open    bool          `json:"open"` // the warehouse has been needed
	Problem string        `json:"problem,omitempty"`
	Oldest  Moment        `json:"oldest"`
	Newest  Moment        `json:"newest"`  // what is spooled
	Behind  dbms.LSN      `json:"behind"`  // LSNs between the database's last commit and what is spooled
	Lag     time.Duration `json:"lag"`     // how long the oldest commit that is not spooled has waited
	Trimmed dbms.LSN      `json:"trimmed"` // the database's own history begins here

	Gaps      []warehouse.Gap `json:"gaps,omitempty"`
	Bytes     int64           `json:"bytes"` // on disk
	Segments  int             `json:"segments"`
	Tables    int             `json:"tables"`
	Rows      int64           `json:"rows"`     // live ones
	Versions  int64           `json:"versions"` // of rows, that are no longer valid
	Commits   int64           `json:"commits"`
	PerSecond float64         `json:"per_second"` // changes, in the last spool that had some
	Retention time.Duration   `json:"retention"`  // negative: for ever
}

// Status describes the warehouse without opening it. It answers also where
// there is none; Problem then says why.
func (s *Service) Status(ctx context.Context) (Status, error) {
	engine := s.db.Status()
	st := Status{Trimmed: engine.OldestLSN}
	f := s.follower.Load()
	if f == nil {
		_, err := s.past(ctx)
		st.Problem = err.Error()
		return st, nil
	}
	f.mu.Lock()
	st.Dir, st.Retention, st.Open = f.options.Dir, f.options.Retention, f.past != nil
	if f.problem != nil {
		st.Problem = f.problem.Error()
	}
	if !f.behind.IsZero() {
		st.Lag = time.Since(f.behind)
	}
	w := f.past
	f.mu.Unlock()
	if w == nil {
		st.Behind = engine.LastLSN - engine.OldestLSN
		return st, nil
	}
	ws := w.Status()
	st.Oldest, st.Newest = moment(ws.Oldest), moment(ws.Newest)
	st.Behind = max(0, engine.LastLSN-ws.Newest.LSN)
	st.Gaps, st.Bytes, st.Segments, st.Tables = ws.Gaps, ws.Bytes, ws.Segments, ws.Tables
	st.Rows, st.Versions, st.Commits = ws.Rows, ws.Versions, ws.Commits
	if ws.SpoolTime > 0 {
		st.PerSecond = float64(ws.SpoolChanges) / ws.SpoolTime.Seconds()
	}
	return st, nil
}

// moment is a warehouse's.
func moment(m warehouse.Moment) Moment { return Moment{LSN: m.LSN, Time: m.Time} }
