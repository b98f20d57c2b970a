package dbos

import (
	"fmt"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/service/workflow"
)

// next begins the next step of the program: a recorded one, or one to be
// done. It does not return if the program must stop here.
func (e *execution) next(kind workflow.Kind, name string, digest *string) (*workflow.Step, bool) {
	if e.again != nil {
		return e.again.next(kind, name, digest)
	}
	if e.left || e.ctx.Err() != nil {
		e.leave()
	}
	if err := abi.CheckName("dbos.step", "step", name); err != nil {
		e.refuse(err)
	}
	e.seq++
	if len(e.journal) == 0 {
		return &workflow.Step{Seq: e.seq, Kind: kind, Name: name, Digest: digest, Attempts: 1, StartedAt: time.Now()}, false
	}
	recorded := &e.journal[0]
	e.journal = e.journal[1:]
	if err := e.compare(recorded, kind, name, digest); err != nil {
		e.refuse(err)
	}
	return recorded, true
}

// compare finds where the program leaves the journal.
func (e *execution) compare(recorded *workflow.Step, kind workflow.Kind, name string, digest *string) error {
	var problem string
	switch {
	case recorded.Seq != e.seq:
		problem = fmt.Sprintf("the journal continues with step %d", recorded.Seq)
	case recorded.Kind != kind || recorded.Name != name:
		problem = fmt.Sprintf("the journal records %s %q, the program now does %s %q", recorded.Kind, recorded.Name, kind, name)
	case text(recorded.Digest) != text(digest):
		problem = fmt.Sprintf("the journal records %s %q with arguments of digest %s, the program now passes %s",
			kind, name, or(text(recorded.Digest), "none"), or(text(digest), "none"))
	default:
		return nil
	}
	return e.diverged(e.seq, problem)
}

func (e *execution) diverged(seq int, problem string) error {
	return abi.Errorf("dbos.replay", abi.Diverged, fmt.Sprintf("step %d of run %s", seq, e.task.ID), "%s", problem).
		WithHint("the workflow %s was changed, or is not deterministic, before this step; put the code back and resume the run, or cancel it", e.task.Name)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// replay returns the recorded outcome of a step.
func replay(e *execution, step *workflow.Step, value any) error {
	if step.Error != nil {
		return e.sys.errors.load(*step.Error)
	}
	if step.Output == nil {
		return nil
	}
	return decode(e.codec, fmt.Sprintf("outcome of step %d (%s) of run %s", step.Seq, step.Name, e.task.ID), *step.Output, value)
}
