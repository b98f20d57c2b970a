package measure

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A Machine is where and when a measurement was made: without it the figures
// mean nothing.
type Machine struct {
	CPU        string    `json:"cpu"`
	Cores      int       `json:"cores"`
	Kernel     string    `json:"kernel"`
	Go         string    `json:"go"`
	Filesystem string    `json:"filesystem"` // of the data directories
	Load       string    `json:"load"`       // load average before the run
	Commit     string    `json:"commit"`
	Date       time.Time `json:"date"`
}

// Inspect describes the machine, with dir as the place of the data. What it
// cannot find out it calls unknown.
func Inspect(dir string) Machine {
	load, _, _ := strings.Cut(readLine("/proc/loadavg"), " ")
	return Machine{
		CPU:        cpuModel(),
		Cores:      runtime.NumCPU(),
		Kernel:     readLine("/proc/sys/kernel/osrelease"),
		Go:         runtime.Version(),
		Filesystem: filesystem(dir),
		Load:       load,
		Commit:     commit(),
		Date:       time.Now().UTC().Truncate(time.Second),
	}
}

// Print writes the description as a sentence of Markdown.
func (m Machine) Print(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, Linux %s, %s, %s, load %s before the run, commit %s, %s\n\n",
		m.CPU, m.Cores, m.Kernel, m.Go, m.Filesystem, m.Load, m.Commit, m.Date.Format(time.RFC3339))
}

const unknown = "unknown"

func readLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return unknown
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(line)
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}

// filesystem returns the type of the file system that holds dir: that of the
// longest mount point above it.
func filesystem(dir string) string {
	text, err := os.ReadFile("/proc/self/mounts")
	absolute, absErr := filepath.Abs(dir)
	if err != nil || absErr != nil {
		return unknown
	}
	kind, longest := unknown, -1
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || len(fields[1]) < longest {
			continue
		}
		point := fields[1]
		if point == "/" || absolute == point || strings.HasPrefix(absolute, point+"/") {
			kind, longest = fields[2], len(point)
		}
	}
	return kind
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return unknown
	}
	return strings.TrimSpace(string(out))
}
