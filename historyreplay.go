package dbos

import "time"

// ReplayOptions choose runs to replay. Runs that have not ended, and those of
// workflows that this program has not registered, are skipped.
type ReplayOptions struct {
	// Runs are IDs. If there are none, all runs that were started since Since.
	Runs []string
	// Since is a moment; "" is the beginning of what is kept.
	Since string
	// Names keeps runs of these workflows only; none means all.
	Names []string
	// Limit is the largest number of runs, the newest first; 0 means all.
	Limit int
	// Progress may be nil.
	Progress func(HistoryProgress)
}

// Replayed says how one run went when it was replayed.
type Replayed struct {
	Run      string `json:"run"`
	Workflow string `json:"workflow"`
	Steps    int    `json:"steps"` // that were replayed
	// Same says that all was as it is recorded.
	Same bool `json:"same"`
	// Divergence is the first difference, nil if there is none.
	Divergence *Divergence `json:"divergence,omitempty"`
	// Recorded is how the run ended, and Replayed how it ended now: its output as
	// JSON, or "error: " and the error.
	Recorded string `json:"recorded"`
	Replayed string `json:"replayed"`
	// EndsDifferently says that these two are not the same.
	EndsDifferently bool `json:"ends_differently"`
	// Skipped says why the run could not be replayed, nil if it was.
	Skipped *Failure `json:"skipped,omitempty"`
}

// A Divergence is the first difference between a run and its replay.
type Divergence struct {
	Seq  int    `json:"seq"`            // of the step; 0 for the run's own outcome
	Step string `json:"step,omitempty"` // its name
	// Kind is "step" (another one came, or none), "statement", "arguments", "rows"
	// (their number), "changes" (what is in the changed rows), "output".
	Kind string `json:"kind"`
	// Statement that differs, counted from 1 within the step; 0 if none does.
	Statement int    `json:"statement,omitempty"`
	Recorded  string `json:"recorded"` // as text
	Replayed  string `json:"replayed"`
	Detail    string `json:"detail"` // in words
}

// A ReplayReport counts the replayed runs.
type ReplayReport struct {
	Runs             int           `json:"runs"` // that were replayed
	Same             int           `json:"same"`
	Diverged         int           `json:"diverged"`
	EndedDifferently int           `json:"ended_differently"` // of those that diverged
	Skipped          int           `json:"skipped"`
	Steps            int           `json:"steps"`
	Took             time.Duration `json:"took"`
}
