package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/server"
)

func TestStartAndWait(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	close(n.gate)
	req := &dbosv1.StartRequest{Workflow: "gate", Input: `"open"`, Id: "a"}
	for range 2 { // the second finds the first
		if id, err := n.Start(ctx, req); err != nil || id != "a" {
			t.Fatalf("got %q, %v", id, err)
		}
	}
	run, err := n.Wait(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if run.State != dbosv1.RunState_RUN_STATE_SUCCEEDED || run.Output != `"open"` || run.FinishedAt == nil {
		t.Errorf("got %v", run)
	}
	_, err = n.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `"other"`, Id: "a"})
	wantKind(t, err, abi.Exists)
}

func TestStartRefuses(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	for name, tt := range map[string]struct {
		req  *dbosv1.StartRequest
		kind abi.Kind
	}{
		"no workflow":     {&dbosv1.StartRequest{}, abi.Invalid},
		"no JSON":         {&dbosv1.StartRequest{Workflow: "gate", Input: "{open}"}, abi.Invalid},
		"long ID":         {&dbosv1.StartRequest{Workflow: "gate", Id: strings.Repeat("x", abi.MaxName+1)}, abi.Invalid},
		"unknown queue":   {&dbosv1.StartRequest{Workflow: "gate", Queue: "none"}, abi.NotFound},
		"large payload":   {&dbosv1.StartRequest{Workflow: "gate", Input: `"` + strings.Repeat("x", dbos.MaxPayload) + `"`}, abi.Exhausted},
		"oversize":        {&dbosv1.StartRequest{Workflow: "gate", Input: `"` + strings.Repeat("x", server.MaxRequest) + `"`}, abi.Exhausted},
		"not UTF-8 in ID": {&dbosv1.StartRequest{Workflow: "gate", Id: "\xff"}, abi.Other},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := n.Start(ctx, tt.req)
			if tt.kind == abi.Other { // refused by the encoder, here
				if err == nil {
					t.Error("it was taken")
				}
				return
			}
			wantKind(t, err, tt.kind)
		})
	}
	if runs, err := n.List(ctx, nil); err != nil || len(runs) != 0 {
		t.Errorf("there are %d runs (%v), want none", len(runs), err)
	}
}

func TestGetShowsEverything(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "fail", Input: `"x"`, Id: "f"}); err != nil {
		t.Fatal(err)
	}
	run, err := n.Wait(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	if run.State != dbosv1.RunState_RUN_STATE_FAILED || run.Failure.GetMessage() != "as asked" {
		t.Errorf("got %v", run)
	}
	res, err := n.Get(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	if res.Run.Input != `"x"` || len(res.Steps) != 1 || res.Steps[0].Kind != "event" || len(res.Events) != 1 || res.Events[0].Value != `"bad"` {
		t.Errorf("got %v", res)
	}
	_, err = n.Get(ctx, "g")
	wantKind(t, err, abi.NotFound)
}

func TestListFilters(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	for _, id := range []string{"a", "b"} {
		if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `"long"`, Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "fail", Input: `"x"`, Id: "c"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Wait(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	failed := []dbosv1.RunState{dbosv1.RunState_RUN_STATE_FAILED}
	for want, f := range map[string]*dbosv1.RunFilter{
		"c b a": nil,
		"b a":   {Live: true},
		"c":     {States: failed},
		"c b":   {Limit: 2},
		"":      {Workflow: "gate", States: failed},
	} {
		runs, err := n.List(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, r := range runs {
			ids = append(ids, r.Id)
			if r.Input != "" {
				t.Errorf("the listing has the input of %s", r.Id)
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("%v lists %q, want %q", f, got, want)
		}
	}
	_, err := n.List(ctx, &dbosv1.RunFilter{Limit: server.MaxRuns + 1})
	wantKind(t, err, abi.Invalid)
	_, err = n.List(ctx, &dbosv1.RunFilter{States: []dbosv1.RunState{99}})
	wantKind(t, err, abi.Invalid)
}

func TestCancelAndResume(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `"w"`, Id: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := n.Cancel(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	run, err := n.Wait(ctx, "a")
	if err != nil || run.State != dbosv1.RunState_RUN_STATE_CANCELLED {
		t.Fatalf("got %v, %v", run, err)
	}
	close(n.gate)
	if err := n.Resume(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	run, err = n.Wait(ctx, "a")
	if err != nil || run.State != dbosv1.RunState_RUN_STATE_SUCCEEDED {
		t.Fatalf("got %v, %v", run, err)
	}
	wantKind(t, n.Cancel(ctx, "a"), abi.Conflict)
	wantKind(t, n.Resume(ctx, "a"), abi.Conflict)
	wantKind(t, n.Cancel(ctx, "b"), abi.NotFound)
}

func TestWaitHonoursItsDeadline(t *testing.T) {
	n := newNode(t, "")
	if _, err := n.Start(t.Context(), &dbosv1.StartRequest{Workflow: "gate", Input: `"w"`, Id: "a"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := n.Wait(ctx, "a")
	wantKind(t, err, abi.Timeout)
	if run, err := n.sys.Lookup(t.Context(), "a"); err != nil || run.FinishedAt != nil {
		t.Errorf("the run is %v (%v), want it to go on", run.State, err)
	}
}

func TestWatchFollows(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	var seen []string
	for runs, err := range n.Watch(ctx, nil) {
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) == 0 {
			seen = append(seen, "none")
			if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `"w"`, Id: "a"}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if runs[0].State == dbosv1.RunState_RUN_STATE_RUNNING && len(seen) == 1 {
			seen = append(seen, "running")
			close(n.gate)
		}
		if runs[0].State == dbosv1.RunState_RUN_STATE_SUCCEEDED {
			seen = append(seen, "succeeded")
			break
		}
	}
	if got := strings.Join(seen, " "); got != "none running succeeded" {
		t.Errorf("the watch showed %s", got)
	}
}
