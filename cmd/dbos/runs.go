package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// A state is how a run's state is called and looks.
type state struct {
	number dbosv1.RunState
	name   string
	style  style
}

var states = []state{
	{dbosv1.RunState_RUN_STATE_QUEUED, "queued", plain},
	{dbosv1.RunState_RUN_STATE_RUNNING, "running", cyan},
	{dbosv1.RunState_RUN_STATE_WAITING, "waiting", yellow},
	{dbosv1.RunState_RUN_STATE_INTERRUPTED, "interrupted", yellow},
	{dbosv1.RunState_RUN_STATE_SUCCEEDED, "succeeded", green},
	{dbosv1.RunState_RUN_STATE_FAILED, "failed", red},
	{dbosv1.RunState_RUN_STATE_CANCELLED, "cancelled", red},
}

// stateOf describes a state. One of a newer node has its number for a name.
func stateOf(number dbosv1.RunState) state {
	for _, s := range states {
		if s.number == number {
			return s
		}
	}
	return state{number, "state " + strconv.Itoa(int(number)), plain}
}

func stateName(number dbosv1.RunState) string { return stateOf(number).name }

func stateNames() []string {
	var names []string
	for _, s := range states {
		names = append(names, s.name)
	}
	return names
}

// parseStates reads a list such as "queued,running".
func parseStates(list []string) ([]dbosv1.RunState, error) {
	var numbers []dbosv1.RunState
	for _, name := range list {
		i := slices.IndexFunc(states, func(s state) bool { return s.name == strings.ToLower(strings.TrimSpace(name)) })
		if i < 0 {
			return nil, usageError("the states are "+strings.Join(stateNames(), ", "), "there is no state %q", name)
		}
		numbers = append(numbers, states[i].number)
	}
	return numbers, nil
}

// since is when a run came into its state, as far as that is recorded.
func since(r *dbosv1.Run) time.Time {
	switch {
	case r.FinishedAt != nil:
		return r.FinishedAt.AsTime()
	case r.StartedAt != nil:
		return r.StartedAt.AsTime()
	}
	return r.CreatedAt.AsTime()
}

// detail says in a few words what a run waits for, or why it ended.
func detail(r *dbosv1.Run, now time.Time) string {
	var parts []string
	switch r.State {
	case dbosv1.RunState_RUN_STATE_QUEUED:
		if r.Queue != "" {
			parts = append(parts, "in queue "+r.Queue)
		}
		if r.Priority != 0 {
			parts = append(parts, "priority "+strconv.Itoa(int(r.Priority)))
		}
	case dbosv1.RunState_RUN_STATE_WAITING:
		if r.WaitsFor != "" {
			parts = append(parts, "for run "+r.WaitsFor)
		}
		if r.WakeAt != nil {
			parts = append(parts, "wakes "+ago(r.WakeAt.AsTime(), now))
		}
	case dbosv1.RunState_RUN_STATE_INTERRUPTED:
		parts = append(parts, "its process died")
	case dbosv1.RunState_RUN_STATE_FAILED:
		parts = append(parts, r.Failure.GetMessage())
	}
	if r.Recoveries > 0 && r.FinishedAt == nil {
		parts = append(parts, "recovered "+times(int(r.Recoveries)))
	}
	return strings.Join(parts, ", ")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

// failureText renders a recorded error.
func failureText(f *dbosv1.Failure) string {
	if f.Kind == dbosv1.ErrorKind_ERROR_KIND_UNSPECIFIED {
		return f.Message
	}
	return f.Message + " (" + abi.Kind(f.Kind).Error() + ")"
}

// runTable is the listing of runs.
func runTable(runs []*dbosv1.Run, now time.Time) *table {
	t := &table{columns: []column{
		{title: "RUN"}, {title: "WORKFLOW", least: 8}, {title: "STATE"}, {title: "SINCE"},
		{title: "BY", least: 6}, {title: "DETAIL", least: 6, optional: true},
	}}
	for _, r := range runs {
		st := stateOf(r.State)
		t.add(
			cell{r.Id, bold}, cell{r.Workflow, plain}, cell{st.name, st.style}, cell{ago(since(r), now), plain},
			cell{r.Principal, plain}, cell{detail(r, now), dim},
		)
	}
	return t
}
