package sqlite

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A request is one call of Update on its way through the writer.
type request struct {
	ctx  context.Context
	call abi.Call
	fn   func(dbms.Tx) error
	// exclusive is a function that has its group to itself, and no time limit.
	exclusive bool
	done      chan struct{} // receives once, when the fields below are final

	tx    *tx   // of the current run
	again bool  // fn has succeeded before, and was rolled back with its group
	start int64 // when the call was made, in microseconds
	lsn   dbms.LSN
	err   error
	panic *panicked
	exit  bool // fn called runtime.Goexit
}

// panicked carries a panic of a transaction function to Update's caller.
type panicked struct {
	value any
	stack []byte
}

// result is what Update returns, once done has been received.
func (r *request) result() (dbms.LSN, error) {
	switch {
	case r.panic != nil:
		panic(&dbms.PanicError{Value: r.panic.value, Stack: r.panic.stack})
	case r.exit:
		runtime.Goexit()
	}
	return r.lsn, r.err
}

// run calls the function. It reports false if the function's goroutine must
// not carry on as the writer: the watchdog gave the work to another one, or
// the goroutine is ending (runtime.Goexit), for which it starts the heir.
func (r *request) run(w *writer) (alive bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			alive = r.tx.end()
			if alive {
				r.panic = &panicked{v, debug.Stack()}
				w.finish(r, abi.Errorf("dbms.update", abi.Panicked, "transaction function", "%v", v))
			}
			return
		}
		if r.tx.end() {
			r.exit = true
			w.finish(r, abi.Errorf("dbms.update", abi.Canceled, "transaction function", "it called runtime.Goexit"))
			go w.work()
		}
	}()
	err := r.fn(r.tx)
	returned = true
	if !r.tx.end() {
		return false
	}
	w.finish(r, err)
	return true
}

// donePool keeps the channels on which callers wait.
var donePool = sync.Pool{New: func() any { return make(chan struct{}, 1) }}
