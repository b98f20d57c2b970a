package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// showCommand shows a run with its journal.
func (c *cli) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: its journal, outcome and events",
		Long: `show prints a run, the steps in its journal and the events it has published.
A step that is still under way is not in the journal yet.`,
		Example: `  dbos show order-42
  dbos show order-42 --json | jq '.steps[] | select(.error)'`,
		Args:              c.arguments(1, 1),
		ValidArgsFunction: c.completeRuns(false),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.show(cmd.Context(), args[0])
		},
	}
}

func (c *cli) show(ctx context.Context, id string) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	res, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(detailOf(res))
	}
	return printDetail(c.out, c.screen, res, c.now())
}

// printDetail prints a run for people.
func printDetail(w io.Writer, s screen, res *dbosv1.GetResponse, now time.Time) error {
	if err := printFields(w, s, runFields(res.Run, now)); err != nil {
		return err
	}
	if len(res.Steps) > 0 {
		fmt.Fprintln(w)
		if err := stepTable(res.Run, res.Steps).print(w, s); err != nil {
			return err
		}
	}
	if len(res.Events) > 0 {
		fmt.Fprintln(w)
		return eventTable(res.Events, now).print(w, s)
	}
	return nil
}

// A field is a named value.
type field struct {
	name  string
	value string
	style style
}

// printFields prints the fields that have a value, aligned, each cut to one
// line of a terminal.
func printFields(w io.Writer, s screen, fields []field) error {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	var b strings.Builder
	for _, f := range fields {
		if f.value == "" {
			continue
		}
		value := printable(f.value)
		if room := s.width - width - len(gap); s.width > 0 {
			value = shorten(value, max(room, 8))
		}
		b.WriteString(s.paint(f.name, dim) + strings.Repeat(" ", width-uniseg.StringWidth(f.name)) + gap)
		b.WriteString(s.paint(value, f.style) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// runFields are a run's properties in the order of a person's questions.
func runFields(r *dbosv1.Run, now time.Time) []field {
	st := stateOf(r.State)
	fields := []field{
		{"run", r.Id, bold},
		{"workflow", r.Workflow, plain},
		{"state", stateText(r, now), st.style},
	}
	if r.Failure != nil {
		fields = append(fields, field{"error", failureText(r.Failure), red})
	}
	fields = append(fields,
		field{"output", r.Output, plain},
		field{"input", r.Input, plain},
		field{"by", r.Principal, plain},
		field{"parent", r.Parent, plain},
		field{"queue", queueText(r), plain},
		field{"created", clock(r.CreatedAt.AsTime()), plain},
	)
	if r.StartedAt != nil {
		fields = append(fields, field{"started", clock(r.StartedAt.AsTime()), plain})
	}
	if r.FinishedAt != nil {
		fields = append(fields, field{"finished", clock(r.FinishedAt.AsTime()), plain})
	}
	return append(fields,
		field{"version", r.Version, plain},
		field{"node", nodeText(r), plain},
	)
}

// stateText is the state, since when, and what explains it.
func stateText(r *dbosv1.Run, now time.Time) string {
	text := stateName(r.State)
	switch {
	case r.FinishedAt != nil:
		text += " " + ago(r.FinishedAt.AsTime(), now)
		if r.StartedAt != nil {
			text += ", took " + took(r.FinishedAt.AsTime().Sub(r.StartedAt.AsTime()))
		}
		return text // why is in the error
	case r.StartedAt != nil:
		text += ", started " + ago(r.StartedAt.AsTime(), now)
	default:
		text += ", recorded " + ago(r.CreatedAt.AsTime(), now)
	}
	if d := detail(r, now); d != "" {
		text += ", " + d
	}
	return text
}

func queueText(r *dbosv1.Run) string {
	if r.Queue == "" || r.Priority == 0 {
		return r.Queue
	}
	return fmt.Sprintf("%s, priority %d", r.Queue, r.Priority)
}

func nodeText(r *dbosv1.Run) string {
	if r.Recoveries == 0 {
		return r.Node
	}
	return strings.TrimPrefix(r.Node+", recovered "+times(int(r.Recoveries)), ", ")
}

// clock renders a moment in local time.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000 -07:00") }

// stepTable is a journal. Times count from the run's start.
func stepTable(r *dbosv1.Run, steps []*dbosv1.Step) *table {
	t := &table{columns: []column{
		{title: "#", right: true}, {title: "STEP", least: 8}, {title: "KIND"}, {title: "AT", right: true},
		{title: "TOOK", right: true}, {title: "TRIES", right: true, optional: true}, {title: "OUTCOME", least: 12},
	}}
	begin := since(&dbosv1.Run{StartedAt: r.StartedAt, CreatedAt: r.CreatedAt})
	for _, s := range steps {
		outcome := cell{s.Output, plain}
		if s.Failure != nil {
			outcome = cell{failureText(s.Failure), red}
		}
		tries := ""
		if s.Attempts > 1 {
			tries = strconv.Itoa(int(s.Attempts))
		}
		t.add(
			cell{strconv.Itoa(int(s.Seq)), dim}, cell{s.Name, bold}, cell{s.Kind, plain},
			cell{"+" + took(s.StartedAt.AsTime().Sub(begin)), plain},
			cell{took(s.FinishedAt.AsTime().Sub(s.StartedAt.AsTime())), plain},
			cell{tries, yellow}, outcome,
		)
	}
	return t
}

func eventTable(events []*dbosv1.Event, now time.Time) *table {
	t := &table{columns: []column{{title: "EVENT", least: 8}, {title: "SET"}, {title: "VALUE", least: 12}}}
	for _, e := range events {
		t.add(cell{e.Key, bold}, cell{ago(e.SetAt.AsTime(), now), plain}, cell{e.Value, plain})
	}
	return t
}
