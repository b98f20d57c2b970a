package abi

import "time"

// Principal names who acts: "user:ada", "os:1000", "system". The empty
// principal means that nobody said; engines record it as "".
type Principal string

// System is the principal of DBOS's own background work: recovery, timers,
// trimming.
const System Principal = "system"

// A Call is the identity of one procedure call (a system call): what is
// called, by whom, and on behalf of which execution. Every committed
// transaction records its Call, so that each change can be traced to its
// cause.
type Call struct {
	// Procedure is the operation's dotted name, such as "sched.finish" or
	// "shop.reserve". It is required and at most MaxName bytes long.
	Procedure string
	// Principal is who asked for it.
	Principal Principal
	// Execution is the ID of the workflow execution that made the call, or
	// "" outside of one.
	Execution string
	// Step is the sequence number of the journal step within Execution,
	// counted from 1; 0 when the call is no step.
	Step int
	// Node identifies the process that made the call. An engine fills it in
	// when it is empty.
	Node string
	// Start is when the call was made, by the caller's clock. An engine
	// fills it in when it is zero.
	Start time.Time
}

// MaxName is the longest name, in bytes, of a procedure, workflow, step,
// queue, event or execution. A longer one is refused with Invalid.
const MaxName = 255

// Check returns nil if the call can be recorded: its names must be names
// (CheckName), and all but Procedure may be empty.
func (c *Call) Check(op string) error {
	if err := CheckName(op, "procedure", c.Procedure); err != nil {
		return err
	}
	for _, n := range [...]struct{ sort, name string }{
		{"principal", string(c.Principal)}, {"execution", c.Execution}, {"node", c.Node},
	} {
		if n.name == "" {
			continue
		}
		if err := CheckName(op, n.sort, n.name); err != nil {
			return err
		}
	}
	return nil
}

// CheckName returns nil if name can name a resource of the given sort
// ("workflow", "queue", …): 1 to MaxName bytes of valid UTF-8 without control
// characters. Otherwise it returns an Error of kind Invalid that says what is
// wrong.
func CheckName(op, sort, name string) error {
	if problem := nameProblem(name); problem != "" {
		return Errorf(op, Invalid, sort+" name", "%s", problem)
	}
	return nil
}
