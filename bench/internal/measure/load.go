package measure

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Load is a number of callers, each of which calls an operation again as
// soon as it has returned (a closed loop).
type Load struct {
	Callers  int
	Warmup   time.Duration // not counted
	Duration time.Duration // counted
	// Sample is of how many operations one has its latency measured: reading
	// the clock twice would weigh on the short ones. 0 means every one.
	Sample int
}

// A Result is what a Load did while it was counted.
type Result struct {
	Operations int64
	Elapsed    time.Duration
	CPU        time.Duration // of the whole process; it varies less with the neighbours than the rate
	Latencies  Latencies
}

// Rate returns operations a second.
func (r Result) Rate() float64 { return float64(r.Operations) / r.Elapsed.Seconds() }

// CPUPerOperation returns the processor time of one operation; 0 if there was
// none.
func (r Result) CPUPerOperation() time.Duration {
	return r.CPU / time.Duration(max(r.Operations, 1))
}

// The phases of a load.
const (
	warming int32 = iota
	counting
	over
)

// Run drives the load. op is told its caller, 0 to Callers-1. The first error
// ends the load.
func (l Load) Run(op func(caller int) error) (Result, error) {
	var (
		phase   atomic.Int32
		failure = make(chan error, l.Callers)
		callers = make([]caller, l.Callers)
		running sync.WaitGroup
	)
	for i := range callers {
		callers[i].sample = max(l.Sample, 1)
		running.Go(func() {
			if err := callers[i].loop(&phase, func() error { return op(i) }); err != nil {
				failure <- err
			}
		})
	}
	result, err := l.conduct(&phase, failure)
	running.Wait()

	for i := range callers {
		result.Operations += callers[i].operations
		result.Latencies = append(result.Latencies, callers[i].latencies...)
	}
	return result, err
}

// conduct moves the load through its phases and returns what the counting one
// took.
func (l Load) conduct(phase *atomic.Int32, failure <-chan error) (r Result, err error) {
	defer phase.Store(over)
	select {
	case err = <-failure:
		return r, err
	case <-time.After(l.Warmup):
	}
	phase.Store(counting)
	began, used := time.Now(), cpuTime()
	select {
	case err = <-failure:
	case <-time.After(l.Duration):
	}
	r.Elapsed, r.CPU = time.Since(began), cpuTime()-used
	return r, err
}

// cpuTime returns the processor time that this process has used.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// A caller is one goroutine's share of a result. It fills cache lines of its
// own, lest the callers slow one another down by counting.
type caller struct {
	operations int64
	sample     int
	latencies  Latencies
	_          [64]byte
}

func (c *caller) loop(phase *atomic.Int32, op func() error) error {
	for n := 0; ; n++ {
		now := phase.Load()
		if now == over {
			return nil
		}
		if now == warming || n%c.sample != 0 {
			if err := op(); err != nil {
				return err
			}
		} else {
			began := time.Now()
			if err := op(); err != nil {
				return err
			}
			c.latencies = append(c.latencies, time.Since(began))
		}
		if now == counting && phase.Load() == counting {
			c.operations++
		}
	}
}

// Once measures a function that does n operations.
func Once(n int, do func() error) (Result, error) {
	began, used := time.Now(), cpuTime()
	err := do()
	return Result{Operations: int64(n), Elapsed: time.Since(began), CPU: cpuTime() - used}, err
}
