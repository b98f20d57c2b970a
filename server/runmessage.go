package server

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// The conversions between the SDK's types and the wire's.

// states are the SDK's states by number on the wire.
var states = map[dbosv1.RunState]dbos.State{
	dbosv1.RunState_RUN_STATE_QUEUED:      dbos.Queued,
	dbosv1.RunState_RUN_STATE_RUNNING:     dbos.Running,
	dbosv1.RunState_RUN_STATE_WAITING:     dbos.Waiting,
	dbosv1.RunState_RUN_STATE_SUCCEEDED:   dbos.Succeeded,
	dbosv1.RunState_RUN_STATE_FAILED:      dbos.Failed,
	dbosv1.RunState_RUN_STATE_CANCELLED:   dbos.Cancelled,
	dbosv1.RunState_RUN_STATE_INTERRUPTED: dbos.Interrupted,
}

func stateMessage(s dbos.State) dbosv1.RunState {
	for number, name := range states {
		if name == s {
			return number
		}
	}
	return dbosv1.RunState_RUN_STATE_UNSPECIFIED
}

// runFilter checks a filter and fills in the limit.
func runFilter(f *dbosv1.RunFilter) (dbos.Filter, error) {
	filter := dbos.Filter{
		Workflow: f.GetWorkflow(), Queue: f.GetQueue(), Parent: f.GetParent(),
		Live: f.GetLive(), Limit: int(f.GetLimit()),
	}
	if f.GetSince() != nil {
		filter.Since = f.GetSince().AsTime()
	}
	for _, number := range f.GetStates() {
		name, ok := states[number]
		if !ok {
			return filter, abi.Errorf("server.list", abi.Invalid, "argument states", "there is no state number %d", number)
		}
		filter.States = append(filter.States, name)
	}
	if filter.Limit < 0 || filter.Limit > MaxRuns {
		return filter, abi.Errorf("server.list", abi.Invalid, "argument limit", "%d is not in 1 to %d", filter.Limit, MaxRuns)
	}
	if filter.Limit == 0 {
		filter.Limit = defaultRuns
	}
	return filter, nil
}

func runMessage(r dbos.RunInfo) *dbosv1.Run {
	return &dbosv1.Run{
		Id: text(r.ID), Workflow: text(r.Workflow), State: stateMessage(r.State),
		Queue: text(r.Queue), Priority: int32(r.Priority), Parent: text(r.Parent),
		Principal: text(r.Principal), Version: text(r.Version), Node: text(r.Node),
		Attempt: int32(r.Attempt), Epoch: int32(r.Epoch), Recoveries: int32(r.Recoveries),
		Input: text(r.Input), Output: text(r.Output), Failure: failureMessage(r.Error),
		CreatedAt: timestamppb.New(r.CreatedAt), StartedAt: timeMessage(r.StartedAt),
		FinishedAt: timeMessage(r.FinishedAt), WakeAt: timeMessage(r.WakeAt),
		WaitsFor: text(r.WaitsFor),
	}
}

func stepMessage(s dbos.StepInfo) *dbosv1.Step {
	return &dbosv1.Step{
		Seq: int32(s.Seq), Name: text(s.Name), Kind: text(s.Kind),
		Output: text(s.Output), Failure: failureMessage(s.Error),
		StartedAt: timestamppb.New(s.StartedAt), FinishedAt: timestamppb.New(s.FinishedAt),
		Attempts: int32(s.Attempts), Child: text(s.Child),
	}
}

func eventMessage(e dbos.EventInfo) *dbosv1.Event {
	return &dbosv1.Event{Key: text(e.Key), Value: text(e.Value), SetAt: timestamppb.New(e.SetAt)}
}

func failureMessage(f *dbos.Failure) *dbosv1.Failure {
	if f == nil {
		return nil
	}
	return &dbosv1.Failure{Message: text(f.Message), Kind: dbosv1.ErrorKind(f.Kind)}
}

func timeMessage(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// text makes valid UTF-8 of what applications wrote; protobuf refuses to send
// anything else.
func text[S ~string | ~[]byte](s S) string {
	return strings.ToValidUTF8(string(s), "\uFFFD")
}

// messages converts a list.
func messages[T, M any](list []T, convert func(T) M) []M {
	out := make([]M, len(list))
	for i, x := range list {
		out[i] = convert(x)
	}
	return out
}
