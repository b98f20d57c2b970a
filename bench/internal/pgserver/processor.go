package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the processor times in /proc: USER_HZ, which is 100 on
// every Linux of today.
const tick = 10 * time.Millisecond

// CPU returns the processor time that the server's processes have used, those
// that have ended included.
func (s *Server) CPU() time.Duration {
	if s == nil {
		return 0
	}
	own, err := stat(s.PID())
	if err != nil {
		return 0
	}
	total := own.used + own.reaped
	for _, p := range s.children() {
		total += p.used
	}
	return total
}

// Roles returns the processor time of the living processes by what they do.
func (s *Server) Roles() map[string]time.Duration {
	roles := map[string]time.Duration{}
	if s == nil {
		return roles
	}
	for _, p := range s.children() {
		title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if err != nil {
			continue
		}
		words := strings.Fields(strings.ReplaceAll(strings.TrimPrefix(string(title), "postgres: "), "\x00", " "))
		role := "backend"
		if len(words) > 0 && !strings.HasPrefix(words[min(1, len(words)-1)], "bench_") {
			role = strings.Join(words[:min(2, len(words))], " ")
		}
		roles[role] += p.used
	}
	return roles
}

// A process is what /proc says of one.
type process struct {
	pid, parent  int
	used, reaped time.Duration
}

func (s *Server) children() (list []process) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		if p, err := stat(pid); err == nil && p.parent == s.PID() {
			list = append(list, p)
		}
	}
	return list
}

// stat reads a process's line: see proc(5).
func stat(pid int) (p process, err error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return p, err
	}
	text := string(line)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from field 3, the state
	if len(fields) < 15 {
		return p, fmt.Errorf("/proc/%d/stat is short", pid)
	}
	number := func(field int) time.Duration {
		n, _ := strconv.ParseInt(fields[field-3], 10, 64) // 0 if it is none
		return time.Duration(n)
	}
	return process{pid: pid, parent: int(number(4)), used: (number(14) + number(15)) * tick, reaped: (number(16) + number(17)) * tick}, nil
}
