package server

import (
	"encoding/json"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dbos-go/dbos"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/service/prov"
	"github.com/dbos-go/dbos/service/prov/undo"
)

func momentMessage(m dbos.Moment) *dbosv1.Moment {
	res := &dbosv1.Moment{Lsn: int64(m.LSN), Text: text(m.Text)}
	if !m.Time.IsZero() {
		res.Time = timestamppb.New(m.Time)
	}
	return res
}

func progressMessage(p dbos.HistoryProgress) *dbosv1.Progress {
	return &dbosv1.Progress{Phase: text(p.Phase), Subject: text(p.Table), Done: p.Rows, Total: p.Total}
}

func columnMessage(c dbos.HistoryColumn) *dbosv1.HistoryColumn {
	return &dbosv1.HistoryColumn{Name: text(c.Name), Type: text(c.Type)}
}

func statusMessage(s dbos.HistoryStatus) *dbosv1.HistoryServiceStatusResponse {
	res := &dbosv1.HistoryServiceStatusResponse{
		Available: s.Dir != "", Directory: text(s.Dir), Behind: int64(s.Behind), LagSeconds: s.Lag.Seconds(), TrimmedLsn: int64(s.Trimmed),
		Bytes: s.Bytes, Segments: int64(s.Segments), Tables: int64(s.Tables), Rows: s.Rows, Versions: s.Versions, Commits: s.Commits, Opened: s.Open,
		SpooledPerSecond: s.PerSecond, RetentionSeconds: s.Retention.Seconds(),
		Oldest: momentMessage(s.Oldest), Position: momentMessage(s.Newest),
	}
	for _, g := range s.Gaps {
		res.Gaps = append(res.Gaps, &dbosv1.HistoryGap{
			After: momentMessage(dbos.Moment{LSN: g.After.LSN, Time: g.After.Time}), Until: momentMessage(dbos.Moment{LSN: g.Upto.LSN, Time: g.Upto.Time}),
		})
	}
	if s.Problem == "" {
		return res
	}
	problem := &dbosv1.Error{Message: text(s.Problem), Kind: dbosv1.ErrorKind_ERROR_KIND_UNAVAILABLE}
	if res.Available {
		res.Failure = problem
	} else {
		problem.Kind = dbosv1.ErrorKind_ERROR_KIND_UNSUPPORTED
		res.Unavailable = problem
	}
	return res
}

func forkMessage(r *dbos.ForkReport) *dbosv1.ForkReport {
	return &dbosv1.ForkReport{
		Moment: momentMessage(r.At), Location: text(r.Location), Unfinished: int64(r.Runs), Warnings: messages(r.Warnings, text),
		Tables: messages(r.Tables, func(t prov.ForkTable) *dbosv1.ForkTable {
			return &dbosv1.ForkTable{Name: text(t.Name), Rows: t.Rows, Checksum: text(t.Digest)}
		}),
	}
}

func restoreMessage(p *dbos.RestorePlan) *dbosv1.RestorePlan {
	return &dbosv1.RestorePlan{
		To: momentMessage(p.To), From: momentMessage(p.From),
		Tables: messages(p.Tables, func(t prov.TablePlan) *dbosv1.TableEffect {
			return effectMessage(t.Name, t.Applied, t.Definition)
		}),
		Resumed: messages(p.Resumes, runRefMessage), Vanished: messages(p.Vanish, runRefMessage),
		External: messages(p.External, externalMessage), Messages: p.Messages, Warnings: messages(p.Warnings, text),
		Lsn: int64(p.LSN), AloneSeconds: p.Took.Seconds(), ResumedCount: p.ResumeCount, VanishedCount: p.VanishCount,
	}
}

func undoMessage(p *dbos.UndoPlan) *dbosv1.UndoPlan {
	m := &dbosv1.UndoPlan{
		From:  momentMessage(p.From),
		Chain: messages(p.Chain, linkMessage),
		Tables: messages(p.Tables, func(t undo.TableRows) *dbosv1.TableEffect {
			return effectMessage(t.Name, t.Applied, "")
		}),
		Conflicts: messages(p.Conflicts, func(c undo.Conflict) *dbosv1.UndoConflict {
			return &dbosv1.UndoConflict{
				Table: text(c.Table), Key: text(c.Key), Execution: text(c.Execution), Lsn: int64(c.LSN), Problem: text(c.Problem),
			}
		}),
		External: messages(p.External, externalMessage), Cancelled: messages(p.Unfinished, runRefMessage),
		Examined: p.Examined, Innocent: p.Innocent, Warnings: messages(p.Warnings, text),
		Lsn: int64(p.LSN), Id: text(p.ID), AloneSeconds: p.Took.Seconds(),
	}
	for number, policy := range policies {
		if policy == p.Policy && number != dbosv1.UndoPolicy_UNDO_POLICY_UNSPECIFIED {
			m.Policy = number
		}
	}
	return m
}

func linkMessage(l undo.Link) *dbosv1.UndoLink {
	return &dbosv1.UndoLink{
		Execution: text(l.Execution), Name: text(l.Name), Principal: text(l.Principal), Lsn: int64(l.LSN), At: timestamppb.New(l.At),
		Seed: l.Seed, Undone: l.Undone, Follows: text(l.Follows), Why: text(l.Why),
	}
}

func effectMessage(table string, a prov.Applied, note string) *dbosv1.TableEffect {
	m := &dbosv1.TableEffect{
		Table: text(table), Changed: a.Changed, Restored: a.Back, Removed: a.Removed,
		System: prov.IsService(table),
	}
	if note != "" {
		m.Notes = []string{text(note)}
	}
	return m
}

func runRefMessage(r prov.RunPlan) *dbosv1.RunRef {
	return &dbosv1.RunRef{Id: text(r.ID), Workflow: text(r.Name), Now: stateMessage(dbos.State(r.State)), Then: stateMessage(dbos.State(r.Then)), Steps: int32(r.Steps)}
}

func externalMessage(s prov.ExternalStep) *dbosv1.ExternalStep {
	m := &dbosv1.ExternalStep{
		Run: text(s.Run), Seq: int32(s.Step), Name: text(s.Name), Output: text(s.Output), At: timestamppb.New(s.At),
	}
	if s.Error != "" {
		m.Failure = storedFailure(s.Error)
	}
	return m
}

// storedFailure reads a failure as journals keep it, in JSON; what is none is
// its own message.
func storedFailure(stored string) *dbosv1.Failure {
	var f dbos.Failure
	if err := json.Unmarshal([]byte(stored), &f); err != nil || f.Message == "" {
		return &dbosv1.Failure{Message: text(stored)}
	}
	return failureMessage(&f)
}

func replayedMessage(r dbos.Replayed) *dbosv1.Replayed {
	m := &dbosv1.Replayed{
		Id: text(r.Run), Workflow: text(r.Workflow), Steps: int32(r.Steps), Same: r.Same,
		Recorded: text(r.Recorded), Replayed: text(r.Replayed), EndsDifferently: r.EndsDifferently, Skipped: failureMessage(r.Skipped),
	}
	if d := r.Divergence; d != nil {
		m.Divergence = &dbosv1.Divergence{
			Seq: int32(d.Seq), Step: text(d.Step), Kind: text(d.Kind), Statement: int32(d.Statement),
			Recorded: text(d.Recorded), Replayed: text(d.Replayed), Detail: text(d.Detail),
		}
	}
	return m
}

func replayMessage(r *dbos.ReplayReport) *dbosv1.ReplayReport {
	return &dbosv1.ReplayReport{
		Runs: int64(r.Runs), Same: int64(r.Same), Diverged: int64(r.Diverged), EndedDifferently: int64(r.EndedDifferently),
		Skipped: int64(r.Skipped), Steps: int64(r.Steps), TookSeconds: r.Took.Seconds(),
	}
}
