package dbos

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/service/prov"
)

const (
	// viewPause is how long a view may wait to be written down.
	viewPause = time.Second
	// viewBatch is how many views one transaction writes down.
	viewBatch = 500
	// maxViews is how many views may wait. Who reads faster than they can be
	// written down waits for it, but not longer than viewPatience.
	maxViews     = 8192
	viewPatience = time.Second
	// viewSweep is how often views are forgotten that are older than history.
	viewSweep = 10 * time.Minute
)

// A seenView is a view with the texts of its statements.
type seenView struct {
	prov.View
	texts []*statementText
}

// A viewKey is what a view says: to read the same of the same state again is
// nothing new.
type viewKey struct {
	lsn       dbms.LSN
	principal abi.Principal
	procedure string
	execution string
	note      string
}

// views are what was read outside of transactions, on its way into the
// database. A goroutine writes it down, which is there once it is needed.
type views struct {
	sys     *System
	mu      sync.Mutex
	pending []seenView
	same    map[viewKey]struct{} // those among pending
	started bool
	lost    int
	wake    chan struct{} // there are pending ones
	full    chan struct{} // there are many
	room    chan struct{} // there are few again
	writing sync.Mutex    // held while they are written down
	swept   time.Time
}

func (v *views) init(s *System) {
	v.sys = s
	v.wake, v.full, v.room = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
}

// A viewing is one view that goes on.
type viewing struct {
	views *views
	rec   *recorder
	view  prov.View
}

// begin begins to record a view; nil if nothing is recorded.
func (v *views) begin() *viewing {
	rec := v.sys.recorder()
	if rec == nil {
		return nil
	}
	return &viewing{views: v, rec: rec}
}

// saw notes the snapshot and returns what records the statements.
func (v *viewing) saw(tx dbms.Tx) *recorder {
	if v == nil {
		return nil
	}
	v.rec.begin()
	v.view.LSN, v.view.At = tx.LSN(), tx.Now()
	return v.rec
}

// end notes who read, whether or not that went well.
func (v *viewing) end(ctx context.Context, procedure string) {
	if v == nil || v.rec.empty() {
		return
	}
	v.view.Procedure, v.view.Principal = procedure, v.views.sys.principal(ctx)
	if e := executionOf(ctx); e != nil {
		v.view.Execution = e.task.ID
	}
	v.view.Note = v.rec.print.Encode()
	v.views.add(ctx, seenView{v.view, v.rec.texts})
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add notes a view. If too many wait, it waits for room.
func (v *views) add(ctx context.Context, seen seenView) {
	if !v.append(seen) {
		timer := time.NewTimer(viewPatience)
		defer timer.Stop()
		select {
		case <-v.room:
		case <-timer.C:
		case <-ctx.Done():
		case <-v.sys.ctx.Done():
		}
		if !v.append(seen) {
			v.mu.Lock()
			v.lost++
			v.mu.Unlock()
		}
	}
	v.start()
}

// append reports whether there was room.
func (v *views) append(seen seenView) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.pending) >= maxViews {
		return false
	}
	key := viewKey{seen.LSN, seen.Principal, seen.Procedure, seen.Execution, string(seen.Note)}
	if _, ok := v.same[key]; ok {
		return true
	}
	if v.same == nil {
		v.same = map[viewKey]struct{}{}
	}
	v.same[key] = struct{}{}
	if id, err := uuid.NewV7(); err == nil {
		seen.ID = id.String()
		v.pending = append(v.pending, seen)
	} else {
		v.lost++
	}
	if len(v.pending) > 0 {
		signal(v.wake)
	}
	if len(v.pending) >= viewBatch {
		signal(v.full)
	}
	return true
}

// start starts the goroutine that writes views down, unless it is there or the
// system closes.
func (v *views) start() {
	v.mu.Lock()
	started := v.started
	v.started = true
	v.mu.Unlock()
	if started {
		return
	}
	s := v.sys
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.background.Go(v.run)
	}
}

func (v *views) run() {
	for {
		select {
		case <-v.wake:
		case <-v.sys.ctx.Done():
			v.last()
			return
		}
		timer := time.NewTimer(viewPause)
		select {
		case <-timer.C:
		case <-v.full:
		case <-v.sys.ctx.Done():
		}
		timer.Stop()
		if err := v.flush(v.sys.ctx); err != nil && v.sys.ctx.Err() == nil {
			v.sys.log.Warn("what was read cannot be written down; trying again", "error", err)
			signal(v.wake)
		}
	}
}

// last writes down what was read before the system closes.
func (v *views) last() {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	if err := v.flush(ctx); err != nil {
		v.sys.log.Warn("what was read last is not written down", "error", err)
	}
}

// flush writes down what has been read so far.
func (v *views) flush(ctx context.Context) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	for {
		v.mu.Lock()
		batch := v.pending[:min(len(v.pending), viewBatch)]
		lost := v.lost
		v.lost = 0
		v.mu.Unlock()
		if lost > 0 {
			v.sys.log.Warn("reads were not recorded: there were more than could be written down", "views", lost)
		}
		if len(batch) == 0 {
			return v.sweep(ctx)
		}
		if err := v.write(ctx, batch); err != nil {
			return err
		}
		v.mu.Lock()
		v.pending, v.same = append([]seenView(nil), v.pending[len(batch):]...), nil
		v.mu.Unlock()
		signal(v.room)
	}
}

func (v *views) write(ctx context.Context, batch []seenView) error {
	s := v.sys
	known := s.prov.Texts()
	list := make([]prov.View, len(batch))
	for i := range batch {
		list[i] = batch[i].View
	}
	_, err := s.db.Update(ctx, s.call("prov.view", abi.System), func(tx dbms.Tx) error {
		known = s.prov.Texts()
		for _, seen := range batch {
			for _, t := range seen.texts {
				if err := known.Remember(tx, t.id, t.text); err != nil {
					return err
				}
			}
		}
		return s.prov.AddViews(tx, list)
	})
	if err == nil {
		known.Committed()
	}
	return err
}

// sweep forgets views that are older than history, where nobody follows the
// database, who would do that.
func (v *views) sweep(ctx context.Context) error {
	retention := v.sys.options.retention()
	if v.sys.options.houseless("dbos.view") == nil || retention < 0 || !v.swept.IsZero() && time.Since(v.swept) < viewSweep {
		return nil
	}
	v.swept = time.Now()
	for {
		n := int64(0)
		_, err := v.sys.db.Update(ctx, v.sys.call("prov.forget", abi.System), func(tx dbms.Tx) (err error) {
			n, err = v.sys.prov.ForgetViews(tx, tx.Now().Add(-retention), viewBatch)
			return err
		})
		if err != nil || n < viewBatch {
			return err
		}
	}
}
