package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// statusCommand describes the node.
func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show who executes the runs, the engine, and how many runs there are",
		Long: `status shows the program that owns the data directory, or the programs that
execute the runs of a shared database, the engine, how changes are captured, and
how many unfinished runs there are in each state.`,
		Example: `  dbos status
  dbos status --json | jq .runs.running`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.status(cmd.Context()) },
	}
}

// A statusJSON is a node's status. Node is absent if no program owns the
// directory.
type statusJSON struct {
	Directory  string           `json:"directory,omitempty"`
	Database   string           `json:"database,omitempty"` // instead, where programs share one
	Engine     string           `json:"engine"`
	EngineV    string           `json:"engine_version"`
	Durability string           `json:"durability,omitempty"`
	LastLSN    int64            `json:"last_lsn"`
	OldestLSN  int64            `json:"oldest_lsn"`
	History    string           `json:"history,omitempty"`
	HistoryLag int64            `json:"history_lag_bytes,omitempty"` // kept by the server, not read yet
	Runs       map[string]int64 `json:"runs"`
	Node       *nodeJSON        `json:"node,omitempty"`
	Nodes      []sharerJSON     `json:"nodes,omitempty"` // of a shared database
}

// A sharerJSON is a program that executes runs of a shared database.
type sharerJSON struct {
	Name      string     `json:"name"`
	StartedAt *time.Time `json:"started_at"`
	Alive     bool       `json:"alive"`
	Runs      int64      `json:"runs"`
}

// A nodeJSON is the program that owns a directory.
type nodeJSON struct {
	Name       string     `json:"name"`
	PID        int64      `json:"pid"`
	Program    string     `json:"program"`
	App        string     `json:"app"`
	AppVersion string     `json:"app_version,omitempty"`
	Version    string     `json:"version"`
	GoVersion  string     `json:"go_version"`
	Executes   bool       `json:"executes"`
	OpenedAt   *time.Time `json:"opened_at"`
}

func (c *cli) status(ctx context.Context) error {
	s, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(statusOf(st, s))
	}
	if err := printFields(c.out, c.screen, statusFields(st, s, c.now())); err != nil || !s.shared || len(st.Nodes) == 0 {
		return err
	}
	fmt.Fprintln(c.out)
	return sharerTable(st.Nodes, c.now()).print(c.out, c.screen)
}

func statusOf(st *dbosv1.StatusResponse, s *session) statusJSON {
	j := statusJSON{
		Engine: st.Engine, EngineV: st.EngineVersion,
		LastLSN: st.LastLsn, OldestLSN: st.OldestLsn, Runs: map[string]int64{},
	}
	for _, r := range st.Runs {
		j.Runs[stateName(r.State)] = r.Count
	}
	if s.shared {
		j.Database, j.History, j.HistoryLag = st.Location, st.History, st.HistoryLag
		for _, n := range st.Nodes {
			j.Nodes = append(j.Nodes, sharerJSON{n.Name, moment(n.StartedAt), n.Alive, n.Runs})
		}
		return j
	}
	j.Directory = st.Location
	if !s.local {
		j.Durability = st.Durability
		j.Node = &nodeJSON{
			Name: st.Node, PID: st.Pid, Program: st.Program, App: st.App, AppVersion: st.AppVersion,
			Version: st.Version, GoVersion: st.GoVersion, Executes: st.Launched, OpenedAt: moment(st.OpenedAt),
		}
	}
	return j
}

func statusFields(st *dbosv1.StatusResponse, s *session, now time.Time) []field {
	var fields []field
	switch {
	case s.shared:
		fields = append(fields, field{"database", st.Location, bold}, sharersField(st.Nodes))
	case s.local:
		fields = append(fields, field{"directory", st.Location, bold},
			field{"program", "none; runs continue when one opens the directory", yellow})
	default:
		fields = append(fields, field{"directory", st.Location, bold}, field{"program", programText(st, now), plain})
		if !st.Launched {
			fields = append(fields, field{"", "it has not been launched, and executes nothing", yellow})
		}
		fields = append(fields, field{"dbos", st.Version + ", " + st.GoVersion, plain})
	}
	return append(fields,
		field{"engine", engineText(st, s.local), plain},
		field{"history", historyText(st, s.shared), plain},
		field{"runs", runsText(st.Runs), plain},
	)
}

// sharersField says how many programs execute the runs of a shared database.
func sharersField(nodes []*dbosv1.Node) field {
	alive := 0
	for _, n := range nodes {
		if n.Alive {
			alive++
		}
	}
	switch dead := len(nodes) - alive; {
	case alive == 0:
		return field{"programs", "none; runs continue when one opens the database", yellow}
	case dead > 0:
		return field{"programs", fmt.Sprintf("%d, and %d that died", alive, dead), plain}
	}
	return field{"programs", strconv.Itoa(alive), plain}
}

// sharerTable is the listing of the programs that share a database.
func sharerTable(nodes []*dbosv1.Node, now time.Time) *table {
	t := &table{columns: []column{{title: "NODE", least: 8}, {title: "STATE"}, {title: "SINCE"}, {title: "RUNS", right: true}}}
	for _, n := range nodes {
		state := cell{"alive", green}
		if !n.Alive {
			state = cell{"dead", red}
		}
		t.add(cell{n.Name, bold}, state, cell{ago(n.StartedAt.AsTime(), now), plain}, cell{strconv.FormatInt(n.Runs, 10), plain})
	}
	return t
}

// lagShown is how many bytes the server may keep before people are told.
const lagShown = 64 << 20

// historyText is how far history goes back, and how it is captured where
// there is a choice.
func historyText(st *dbosv1.StatusResponse, choice bool) string {
	text := fmt.Sprintf("LSN %d to %d", st.OldestLsn, st.LastLsn)
	switch {
	case choice && st.History == "logical":
		text += ", by logical decoding"
	case choice && st.History != "":
		text += ", by " + st.History
	}
	if st.HistoryLag > lagShown {
		text += fmt.Sprintf("; the server keeps %d MB for it", st.HistoryLag>>20)
	}
	return text
}

// programText is who the owner is: "shop (process 123), open for 3m".
func programText(st *dbosv1.StatusResponse, now time.Time) string {
	return fmt.Sprintf("%s (process %d), open for %s", strings.TrimSpace(st.Program+" "+st.AppVersion), st.Pid, took(now.Sub(st.OpenedAt.AsTime())))
}

// engineText leaves out the durability of commits where there is no program:
// it is the program's choice.
func engineText(st *dbosv1.StatusResponse, local bool) string {
	text := st.Engine + " " + st.EngineVersion
	if !local {
		text += ", commits are " + st.Durability
	}
	return text
}

func runsText(counts []*dbosv1.RunCount) string {
	var parts []string
	for _, r := range counts {
		if r.Count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", r.Count, stateName(r.State)))
		}
	}
	if len(parts) == 0 {
		return "none unfinished"
	}
	return strings.Join(parts, ", ")
}
