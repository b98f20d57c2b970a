package dbos

import "sync"

// outcomes are the latest outcomes of runs that this process has executed, so
// that whoever waits for them need not ask the database. Only success is kept:
// a failed run may be resumed, elsewhere too.
type outcomes struct {
	mu    sync.Mutex
	known map[string]known
	order []string // a ring
	next  int
	epoch int // how often they were cleared
}

type known struct {
	codec  Codec
	output string
}

const (
	// keptOutcomes is how many outcomes are kept.
	keptOutcomes = 4096
	// maxKeptOutcome is the largest output that is kept, in bytes.
	maxKeptOutcome = 1024
)

// begin is asked when an execution begins: what was cleared since is not added.
func (o *outcomes) begin() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.epoch
}

// clear forgets all outcomes, also those of executions that have begun: the
// database has been put back to a state in which they may not have ended.
func (o *outcomes) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known, o.order, o.next = nil, nil, 0
	o.epoch++
}

func (o *outcomes) add(id string, codec Codec, output string, epoch int) {
	if len(output) > maxKeptOutcome {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if epoch != o.epoch {
		return
	}
	if o.known == nil {
		o.known, o.order = make(map[string]known, keptOutcomes), make([]string, keptOutcomes)
	}
	delete(o.known, o.order[o.next])
	o.order[o.next] = id
	o.known[id] = known{codec, output}
	o.next = (o.next + 1) % keptOutcomes
}

func (o *outcomes) get(id string) (known, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k, ok := o.known[id]
	return k, ok
}
