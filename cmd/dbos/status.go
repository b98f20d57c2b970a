package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// statusCommand describes the node.
func (c *cli) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show who owns the data directory and how it does",
		Long: `status shows the program that owns the data directory, its engine and how many
unfinished runs there are in each state.`,
		Example: `  dbos status
  dbos status --json | jq .runs.running`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.status(cmd.Context()) },
	}
}

// A statusJSON is a node's status. Node is absent if no program owns the
// directory.
type statusJSON struct {
	Directory  string           `json:"directory"`
	Engine     string           `json:"engine"`
	EngineV    string           `json:"engine_version"`
	Durability string           `json:"durability,omitempty"`
	LastLSN    int64            `json:"last_lsn"`
	OldestLSN  int64            `json:"oldest_lsn"`
	Runs       map[string]int64 `json:"runs"`
	Node       *nodeJSON        `json:"node,omitempty"`
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
		return c.printJSON(statusOf(st, s.local))
	}
	return printFields(c.out, c.screen, statusFields(st, s.local, c.now()))
}

func statusOf(st *dbosv1.StatusResponse, local bool) statusJSON {
	j := statusJSON{
		Directory: st.Location, Engine: st.Engine, EngineV: st.EngineVersion,
		LastLSN: st.LastLsn, OldestLSN: st.OldestLsn, Runs: map[string]int64{},
	}
	for _, r := range st.Runs {
		j.Runs[stateName(r.State)] = r.Count
	}
	if !local {
		j.Durability = st.Durability
		j.Node = &nodeJSON{
			Name: st.Node, PID: st.Pid, Program: st.Program, App: st.App, AppVersion: st.AppVersion,
			Version: st.Version, GoVersion: st.GoVersion, Executes: st.Launched, OpenedAt: moment(st.OpenedAt),
		}
	}
	return j
}

func statusFields(st *dbosv1.StatusResponse, local bool, now time.Time) []field {
	fields := []field{{"directory", st.Location, bold}}
	if local {
		fields = append(fields, field{"program", "none; runs continue when one opens the directory", yellow})
	} else {
		fields = append(fields, field{"program", programText(st, now), plain})
		if !st.Launched {
			fields = append(fields, field{"", "it has not been launched, and executes nothing", yellow})
		}
		fields = append(fields, field{"dbos", st.Version + ", " + st.GoVersion, plain})
	}
	return append(fields,
		field{"engine", engineText(st, local), plain},
		field{"history", fmt.Sprintf("LSN %d to %d", st.OldestLsn, st.LastLsn), plain},
		field{"runs", runsText(st.Runs), plain},
	)
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
