package main

import (
	"os"
	"path/filepath"
	"strings"
)

// historyLines is how many statements are remembered.
const historyLines = 1000

// A shellHistory is what was typed before, also in earlier shells. It
// implements term.History.
type shellHistory struct {
	path  string   // of the file; "" for none
	lines []string // oldest first
}

// historyFile returns where statements are remembered: $DBOS_SQL_HISTORY, or a
// file in the home directory.
func historyFile() string {
	if path, ok := os.LookupEnv("DBOS_SQL_HISTORY"); ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".dbos_sql_history")
}

// openHistory reads a file. One that cannot be read is as good as an empty
// one: nobody is kept from working by it.
func openHistory(path string) *shellHistory {
	h := &shellHistory{path: path}
	text, err := os.ReadFile(path)
	if err != nil {
		return h
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			h.lines = append(h.lines, line)
		}
	}
	h.lines = h.lines[max(len(h.lines)-historyLines, 0):]
	return h
}

// Add implements term.History. It does nothing: a statement is kept as a whole,
// when it is finished.
func (h *shellHistory) Add(string) {}

// Len implements term.History.
func (h *shellHistory) Len() int { return len(h.lines) }

// At implements term.History: 0 is the newest.
func (h *shellHistory) At(i int) string { return h.lines[len(h.lines)-1-i] }

// keep remembers a statement, as one line. One that begins with a blank is not
// remembered, as in other shells.
func (h *shellHistory) keep(text string) {
	if strings.HasPrefix(text, " ") || strings.Contains(text, "--") && strings.Contains(text, "\n") {
		return // in one line, the comment would swallow the rest
	}
	line := strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	if n := len(h.lines); line == "" || n > 0 && h.lines[n-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if h.path == "" {
		return
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	f.WriteString(line + "\n")
	if len(h.lines) > 2*historyLines {
		h.lines = h.lines[len(h.lines)-historyLines:]
		os.WriteFile(h.path, []byte(strings.Join(h.lines, "\n")+"\n"), 0o600)
	}
}
