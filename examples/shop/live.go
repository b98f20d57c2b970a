package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/dbos-go/dbos/examples/shop/payment"
)

const (
	// livePause is the least time between two events of a stream; changes
	// meanwhile are one event.
	livePause = 80 * time.Millisecond
	// liveSilence is the longest time without a sign of life.
	liveSilence = 15 * time.Second
	// liveWrite is how long a browser may take to accept an event.
	liveWrite = 10 * time.Second
)

// stream sends what read returns, now and whenever a commit has changed it,
// until the browser leaves or the server closes. Nothing is polled: the
// database wakes the stream.
func (web *web) stream(w http.ResponseWriter, r *http.Request, read func(context.Context) (any, error)) {
	runs, shop := web.shop.sys.Watch("runs"), web.shop.sys.Watch(shopChanged)
	defer runs.Close()
	defer shop.Close()
	payments, forget := web.payments.watch()
	defer forget()

	w.Header().Set("Content-Type", "text/event-stream")
	out := liveWriter{w, http.NewResponseController(w)}
	silence := time.NewTicker(liveSilence)
	defer silence.Stop()
	var last []byte
	for {
		v, err := read(r.Context())
		if err != nil {
			return // the browser connects again
		}
		event, err := json.Marshal(v)
		if err != nil {
			return
		}
		if !bytes.Equal(event, last) {
			err = out.send("data: %s\n\n", event)
			last = event
		}
		if err != nil || !waitFor(r.Context(), time.After(livePause)) {
			return
		}
		select {
		case <-runs.C():
		case <-shop.C():
		case <-payments:
		case <-silence.C:
			if out.send(": still here\n\n") != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func waitFor(ctx context.Context, c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// A liveWriter sends the parts of an event stream as they come.
type liveWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w liveWriter) send(format string, args ...any) error {
	if err := w.control.SetWriteDeadline(time.Now().Add(liveWrite)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		return err
	}
	return w.control.Flush()
}

// A paymentWatch knows how the payment service is, and tells who wants to
// know. It is the one part of the board that is no row.
type paymentWatch struct {
	mu    sync.Mutex
	now   PaymentState
	wakes map[chan struct{}]bool
}

// report is for payment.Launcher.Keep.
func (p *paymentWatch) report(h payment.Health, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = PaymentState{Up: err == nil, PID: h.PID, Latency: h.Settings.Latency.String(), Failures: h.Settings.Failures}
	for wake := range p.wakes {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

func (p *paymentWatch) state() PaymentState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// watch returns a channel that receives after a change, until forget.
func (p *paymentWatch) watch() (changed <-chan struct{}, forget func()) {
	wake := make(chan struct{}, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wakes == nil {
		p.wakes = map[chan struct{}]bool{}
	}
	p.wakes[wake] = true
	return wake, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wakes, wake)
	}
}

func contextOf(ctx context.Context) func(net.Listener) context.Context {
	return func(net.Listener) context.Context { return ctx }
}
