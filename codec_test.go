package dbos_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
)

// gobCodec stores values in a form that is not text.
type gobCodec struct{}

func (gobCodec) Name() string { return "gob" }

func (gobCodec) Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

func (gobCodec) Unmarshal(data []byte, v any) error {
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

// Runs keep the codec that they were started with: those of another codec go
// on as well as JSON's, and a program without the codec is told.
func TestCodecs(t *testing.T) {
	dir := t.TempDir()
	entered := make(chan struct{}, 10) // nobody waits to be seen
	var free chan struct{}             // nil blocks
	define := func(sys *dbos.System) *dbos.Definition[float64, float64] {
		return dbos.Workflow(sys, "halve", func(ctx dbos.Context, x float64) (float64, error) {
			half, err := dbos.Step(ctx, "halve", func(context.Context) (float64, error) { return x / 2, nil }, dbos.Args(x))
			if err != nil {
				return 0, err
			}
			if err := dbos.SetEvent(ctx, "half", half); err != nil {
				return 0, err
			}
			return dbos.Step(ctx, "wait", func(ctx context.Context) (float64, error) {
				entered <- struct{}{}
				select {
				case <-free:
					return half, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
		})
	}
	for _, codec := range []string{"json", "gob"} {
		var opts []dbos.Option
		if codec == "gob" {
			opts = append(opts, dbos.WithCodec(gobCodec{}))
		}
		sys := open(t, dir, opts...)
		// The other one's run waits in its step again.
		if _, err := define(sys).Start(t.Context(), 3, dbos.ID(codec)); err != nil {
			t.Fatal(err)
		}
		<-entered
		sys.Close()
	}

	// A program without the codec fails that run, and says why.
	free = make(chan struct{})
	close(free)
	sys := open(t, dir)
	define(sys)
	if err := sys.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := dbos.Find[float64](sys, "json").Result(t.Context()); got != 1.5 || err != nil {
		t.Fatalf("JSON: %v, %v", got, err)
	}
	if _, err := sys.Outcome(t.Context(), "gob"); !errors.Is(err, abi.Unsupported) {
		t.Fatalf("gob without its codec: %v", err)
	}
	sys.Close()

	sys = open(t, dir, dbos.WithCodec(gobCodec{}))
	define(sys)
	if err := errors.Join(sys.Resume(t.Context(), "gob"), sys.Launch(t.Context())); err != nil {
		t.Fatal(err)
	}
	if got, err := dbos.Find[float64](sys, "gob").Result(t.Context()); got != 1.5 || err != nil {
		t.Fatalf("gob: %v, %v", got, err)
	}
	for _, id := range []string{"json", "gob"} {
		if got, err := dbos.GetEvent[float64](t.Context(), sys, id, "half"); got != 1.5 || err != nil {
			t.Errorf("event of %s: %v, %v", id, got, err)
		}
	}
}
