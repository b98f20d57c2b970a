package main

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// The JSON forms are part of the command's contract: fields are only added.
// Times are in RFC 3339, in UTC.

// A runJSON is a run.
type runJSON struct {
	ID         string          `json:"id"`
	Workflow   string          `json:"workflow"`
	State      string          `json:"state"`
	Queue      string          `json:"queue,omitempty"`
	Priority   int32           `json:"priority,omitempty"`
	Parent     string          `json:"parent,omitempty"`
	Principal  string          `json:"principal"`
	Version    string          `json:"version,omitempty"`
	Node       string          `json:"node,omitempty"`
	Attempt    int32           `json:"attempt"`
	Recoveries int32           `json:"recoveries"`
	CreatedAt  *time.Time      `json:"created_at"`
	StartedAt  *time.Time      `json:"started_at,omitempty"`
	FinishedAt *time.Time      `json:"finished_at,omitempty"`
	WakeAt     *time.Time      `json:"wake_at,omitempty"`
	WaitsFor   string          `json:"waits_for,omitempty"`
	Input      json.RawMessage `json:"input,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	Error      *failureJSON    `json:"error,omitempty"`
}

// A failureJSON is a recorded error.
type failureJSON struct {
	Message string `json:"message"`
	Kind    string `json:"kind,omitempty"`
}

// A stepJSON is an entry of a journal.
type stepJSON struct {
	Seq        int32           `json:"seq"`
	Name       string          `json:"name"`
	Kind       string          `json:"kind"`
	StartedAt  *time.Time      `json:"started_at"`
	FinishedAt *time.Time      `json:"finished_at"`
	Attempts   int32           `json:"attempts"`
	Child      string          `json:"child,omitempty"`
	Output     json.RawMessage `json:"output,omitempty"`
	Error      *failureJSON    `json:"error,omitempty"`
}

// An eventJSON is a published value.
type eventJSON struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	SetAt *time.Time      `json:"set_at"`
}

// A detailJSON is all that is recorded of a run.
type detailJSON struct {
	runJSON
	Steps  []stepJSON  `json:"steps"`
	Events []eventJSON `json:"events"`
}

// An errorJSON is an error of a call.
type errorJSON struct {
	Message string `json:"message"`
	Kind    string `json:"kind"`
	Hint    string `json:"hint,omitempty"`
}

func errorOf(err error) *errorJSON {
	if err == nil {
		return nil
	}
	return &errorJSON{Message: sentence(err), Kind: abi.KindOf(err).Error(), Hint: abi.HintOf(err)}
}

func runOf(r *dbosv1.Run) runJSON {
	return runJSON{
		ID: r.Id, Workflow: r.Workflow, State: stateName(r.State), Queue: r.Queue, Priority: r.Priority,
		Parent: r.Parent, Principal: r.Principal, Version: r.Version, Node: r.Node,
		Attempt: r.Attempt, Recoveries: r.Recoveries,
		CreatedAt: moment(r.CreatedAt), StartedAt: moment(r.StartedAt), FinishedAt: moment(r.FinishedAt),
		WakeAt: moment(r.WakeAt), WaitsFor: r.WaitsFor,
		Input: rawJSON(r.Input), Output: rawJSON(r.Output), Error: failureOf(r.Failure),
	}
}

func runsOf(runs []*dbosv1.Run) []runJSON {
	list := make([]runJSON, len(runs))
	for i, r := range runs {
		list[i] = runOf(r)
	}
	return list
}

func detailOf(res *dbosv1.GetResponse) detailJSON {
	d := detailJSON{runJSON: runOf(res.Run), Steps: []stepJSON{}, Events: []eventJSON{}}
	for _, s := range res.Steps {
		d.Steps = append(d.Steps, stepJSON{
			Seq: s.Seq, Name: s.Name, Kind: s.Kind, StartedAt: moment(s.StartedAt), FinishedAt: moment(s.FinishedAt),
			Attempts: s.Attempts, Child: s.Child, Output: rawJSON(s.Output), Error: failureOf(s.Failure),
		})
	}
	for _, e := range res.Events {
		d.Events = append(d.Events, eventJSON{Key: e.Key, Value: rawJSON(e.Value), SetAt: moment(e.SetAt)})
	}
	return d
}

func failureOf(f *dbosv1.Failure) *failureJSON {
	if f == nil {
		return nil
	}
	j := &failureJSON{Message: f.Message}
	if f.Kind != dbosv1.ErrorKind_ERROR_KIND_UNSPECIFIED {
		j.Kind = abi.Kind(f.Kind).Error()
	}
	return j
}

// rawJSON returns stored JSON as it is, and as a string what should be JSON
// and is not.
func rawJSON(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	if json.Valid([]byte(text)) {
		return json.RawMessage(text)
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return quoted
}

// moment converts a message's time; nil stays nil.
func moment(t interface {
	IsValid() bool
	AsTime() time.Time
}) *time.Time {
	if !t.IsValid() {
		return nil
	}
	return new(t.AsTime())
}

// printJSON writes one document, indented.
func (c *cli) printJSON(v any) error { return c.writeJSON(v, "  ") }

// printJSONLine writes one document as one line of a stream.
func (c *cli) printJSONLine(v any) error { return c.writeJSON(v, "") }

func (c *cli) writeJSON(v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := c.out.Write(b.Bytes())
	return err
}
