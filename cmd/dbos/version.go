package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versionCommand needs no data directory.
func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this command",
		Long:  "version shows the version of this command and of what it is built on. The program\nthat owns a data directory may have another one: see dbos status.",
		Args:  c.arguments(0, 0),
		RunE:  func(*cobra.Command, []string) error { return c.version() },
	}
}

// A versionJSON is what this binary is made of.
type versionJSON struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	SQLite   string `json:"sqlite_library"`
}

func (c *cli) version() error {
	v := buildVersion()
	if c.json {
		return c.printJSON(v)
	}
	version := v.Version
	if v.Revision != "" {
		version += " (" + v.Revision + ")"
	}
	_, err := fmt.Fprintf(c.out, "dbos %s, %s %s, SQLite from %s\n", version, v.Go, v.Platform, v.SQLite)
	return err
}

func buildVersion() versionJSON {
	v := versionJSON{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value[:min(12, len(s.Value))]
		}
	}
	for _, m := range info.Deps {
		if m.Path == "modernc.org/sqlite" {
			v.SQLite = m.Path + " " + m.Version
		}
	}
	return v
}
