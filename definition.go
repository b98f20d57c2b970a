package dbos

import (
	"github.com/dbos-go/dbos/abi"
)

// A Definition is a workflow that runs can be started of. Make one with
// Workflow.
type Definition[In, Out any] struct {
	sys *System
	def *definition
}

// A definition is a workflow without its types.
type definition struct {
	name string
	// call decodes the input, runs the function, and encodes its result.
	call func(e *execution, input string) (output string, err error)
}

// Workflow registers a function as the workflow called name, and panics if the
// name is taken or no name (abi.CheckName): that is a mistake in the program.
// The function may be a closure. Its name is how a run finds its function
// again after a crash, so it must never change while runs of it are
// unfinished.
//
// See the package documentation for what the function may do.
func Workflow[In, Out any](s *System, name string, fn func(Context, In) (Out, error)) *Definition[In, Out] {
	if err := abi.CheckName("dbos.workflow", "workflow", name); err != nil {
		panic(err)
	}
	def := &definition{name: name}
	def.call = func(e *execution, input string) (string, error) {
		var in In
		if err := decode(e.codec, "input of workflow "+name, input, &in); err != nil {
			return "", err
		}
		out, err := fn(&runContext{Context: e.ctx, run: e}, in)
		if err != nil {
			return "", err
		}
		return encode(e.codec, "result of workflow "+name, out)
	}
	s.register(def)
	return &Definition[In, Out]{sys: s, def: def}
}

func (s *System) register(def *definition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.definitions[def.name] != nil {
		panic(abi.Errorf("dbos.workflow", abi.Exists, "workflow "+def.name, "it is registered already"))
	}
	s.definitions[def.name] = def
	select {
	case s.registered <- struct{}{}:
	default:
	}
}

// Name returns the workflow's name.
func (d *Definition[In, Out]) Name() string { return d.def.name }
