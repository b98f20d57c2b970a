package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// replayCommand runs recorded runs again and compares.
func (c *cli) replayCommand() *cobra.Command {
	req := &dbosv1.ReplayRequest{}
	cmd := &cobra.Command{
		Use:   "replay [RUN...]",
		Short: "Run recorded runs again with today's code, and compare",
		Long: `replay runs recorded runs again with the functions of the program that has the
data directory open: each transaction on the state that it saw, on a scratch copy;
steps outside of the database are not done, but give what they gave. It shows the
first difference of each run, and how the run would have ended. Nothing is
changed.

With a changed program and --since it tells which of the past runs would have
ended differently. The exit code is 1 if any run differs.

` + momentHelp,
		Example: `  dbos replay order-42
  dbos replay --since '2 days ago' --workflow checkout --limit 1000
  dbos replay --since '18:05' --json | jq -r 'select(.ends_differently) | .id'`,
		Args:              c.arguments(0, -1),
		ValidArgsFunction: c.completeRuns(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			req.Runs = args
			switch {
			case len(args) == 0 && req.Since == "":
				return usageError("name runs, or give --since", "replay what?")
			case len(args) > 0 && req.Since != "":
				return usageError("", "RUNs and --since exclude each other")
			case req.Limit < 0:
				return usageError("", "--limit %d is negative", req.Limit)
			}
			return c.replay(cmd.Context(), req)
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.Since, "since", "", "all runs that were started since the `MOMENT`")
	f.StringArrayVar(&req.Workflows, "workflow", nil, "only runs of the workflow `NAME`; may be repeated")
	f.Int32Var(&req.Limit, "limit", 0, "the newest `N` runs; 0 is all")
	completeFlag(cmd, "workflow", c.completeWorkflows)
	return cmd
}

// errDiffers is a replay that found differences.
var errDiffers = errors.New("runs differ")

// A replayedJSON is one run: a line of the stream.
type replayedJSON struct {
	ID              string          `json:"id"`
	Workflow        string          `json:"workflow"`
	Steps           int32           `json:"steps"`
	Same            bool            `json:"same"`
	EndsDifferently bool            `json:"ends_differently"`
	Divergence      *divergenceJSON `json:"divergence,omitempty"`
	Recorded        string          `json:"recorded"`
	Replayed        string          `json:"replayed"`
	Skipped         *failureJSON    `json:"skipped,omitempty"`
}

// A divergenceJSON is the first difference.
type divergenceJSON struct {
	Seq       int32  `json:"seq"`
	Step      string `json:"step,omitempty"`
	Kind      string `json:"kind"`
	Statement int32  `json:"statement,omitempty"`
	Recorded  string `json:"recorded"`
	Replayed  string `json:"replayed"`
	Detail    string `json:"detail,omitempty"`
}

// A replayJSON is the last line.
type replayJSON struct {
	Summary replaySumJSON `json:"summary"`
}

type replaySumJSON struct {
	Runs             int64   `json:"runs"`
	Same             int64   `json:"same"`
	Diverged         int64   `json:"diverged"`
	EndedDifferently int64   `json:"ended_differently"`
	Skipped          int64   `json:"skipped"`
	Steps            int64   `json:"steps"`
	Took             float64 `json:"took_seconds"`
}

func replayedOf(r *dbosv1.Replayed) replayedJSON {
	j := replayedJSON{
		ID: r.Id, Workflow: r.Workflow, Steps: r.Steps, Same: r.Same, EndsDifferently: r.EndsDifferently,
		Recorded: r.Recorded, Replayed: r.Replayed, Skipped: failureOf(r.Skipped),
	}
	if d := r.Divergence; d != nil {
		j.Divergence = &divergenceJSON{d.Seq, d.Step, d.Kind, d.Statement, d.Recorded, d.Replayed, d.Detail}
	}
	return j
}

func (c *cli) replay(ctx context.Context, req *dbosv1.ReplayRequest) error {
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if s.local {
		return noProgram(s)
	}
	t := c.track("replaying")
	v := &replayView{cli: c, d: c.document(), named: len(req.Runs) > 0, clear: t.clear}
	report, err := s.Replay(ctx, req, t.show, v.add)
	t.end()
	if err == nil {
		err = v.d.err
	}
	if err != nil {
		return err
	}
	if err := v.summary(report); err != nil {
		return err
	}
	if report.Diverged > 0 {
		return reported{errDiffers}
	}
	return nil
}

// noProgram explains that functions are in programs.
func noProgram(s *session) error {
	return abi.Errorf("dbos.replay", abi.Unavailable, "replay", "it runs the program's functions, and no program that has them answers for the %s", s.place()).
		WithHint("start the program, with server.Serve, and ask again; or replay in a Go test, against the code under test: replaytest.Run")
}

// A replayView prints runs as they are replayed.
type replayView struct {
	cli   *cli
	d     *document
	named bool   // runs that are the same are of interest too
	clear func() // takes the line of progress away
}

func (v *replayView) add(r *dbosv1.Replayed) {
	if v.cli.json {
		if v.d.err == nil {
			v.d.err = v.cli.printJSONLine(replayedOf(r))
		}
		return
	}
	if r.Same && !v.named {
		return
	}
	v.clear()
	name := v.d.screen.paint(printable(r.Id), bold) + " " + printable(r.Workflow)
	switch {
	case r.Skipped != nil:
		v.d.line("%s: %s", name, v.d.screen.paint("not replayed: "+printable(failureText(r.Skipped)), yellow))
	case r.Same:
		v.d.line("%s: %s (%s)", name, v.d.screen.paint("the same", green), count(int(r.Steps), "step"))
	default:
		v.d.line("%s: %s", name, v.d.screen.paint(printable(divergenceText(r.Divergence)), red))
		v.d.fields(differences(r)...)
	}
}

// divergenceText says where a run differs.
func divergenceText(d *dbosv1.Divergence) string {
	text := "it differs"
	switch {
	case d.GetSeq() > 0:
		text = fmt.Sprintf("differs at step %d (%s)", d.Seq, d.Step)
	case d != nil:
		text = "differs in how it ends"
	}
	if d.GetStatement() > 0 {
		text += ", statement " + strconv.Itoa(int(d.Statement))
	}
	if d.GetDetail() != "" {
		text += ": " + d.Detail
	} else if d.GetKind() != "" {
		text += ": another " + d.Kind
	}
	return text
}

// differences are what a run did and what it does now.
func differences(r *dbosv1.Replayed) []field {
	var fields []field
	if d := r.Divergence; d != nil {
		fields = append(fields, field{"  recorded", d.Recorded, plain}, field{"  replayed", d.Replayed, plain})
	}
	if r.EndsDifferently {
		return append(fields, field{"  ended", r.Recorded, plain}, field{"  would end", r.Replayed, red})
	}
	return append(fields, field{"  ends", "as it did", green})
}

// summary counts the runs.
func (v *replayView) summary(r *dbosv1.ReplayReport) error {
	if v.cli.json {
		return v.cli.printJSONLine(replayJSON{replaySumJSON{
			r.Runs, r.Same, r.Diverged, r.EndedDifferently, r.Skipped, r.Steps, r.TookSeconds,
		}})
	}
	v.d.gap()
	v.d.line("%s of %s replayed in %s: %d the same, %d differ, and %d of these would have ended differently.",
		count(int(r.Runs), "run"), count(int(r.Steps), "step"), took(seconds(r.TookSeconds)), r.Same, r.Diverged, r.EndedDifferently)
	if r.Skipped > 0 {
		v.d.line("%s not be replayed.", plural(int(r.Skipped), "1 run could", "%d runs could"))
	}
	return v.d.err
}
