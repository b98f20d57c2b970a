package server

import (
	"errors"
	"sync"
	"testing"

	"github.com/dbos-go/dbos"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

func same(p *dbosv1.Progress) *dbosv1.Progress { return p }

// TestProgressNeverWaits tells of progress while the client has stopped
// reading: what tells may hold locks. When the client reads again, it gets the
// latest.
func TestProgressNeverWaits(t *testing.T) {
	sending, reads := make(chan int64), make(chan struct{})
	r := report(func(p *dbosv1.Progress) error {
		sending <- p.Done
		<-reads
		return nil
	}, same)
	r.progress(dbos.HistoryProgress{Rows: 1})
	if got := <-sending; got != 1 {
		t.Fatalf("first came %d", got)
	}
	for n := range int64(1000) { // the client does not read
		r.progress(dbos.HistoryProgress{Rows: n + 2})
	}
	reads <- struct{}{}
	if got := <-sending; got != 1001 {
		t.Errorf("then came %d, want the latest", got)
	}
	reads <- struct{}{}
	r.end()
}

// TestProgressEnds sends nothing once it has ended.
func TestProgressEnds(t *testing.T) {
	var mu sync.Mutex
	ended := false
	r := report(func(*dbosv1.Progress) error {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			t.Error("progress was sent after the end")
		}
		return nil
	}, same)
	for n := range int64(100) {
		r.progress(dbos.HistoryProgress{Rows: n})
	}
	r.end()
	mu.Lock()
	ended = true
	mu.Unlock()
	r.progress(dbos.HistoryProgress{Rows: 7})
}

// TestProgressOfAClientWhoHasGone goes nowhere, and stops nothing.
func TestProgressOfAClientWhoHasGone(t *testing.T) {
	tried := make(chan struct{}, 1)
	r := report(func(*dbosv1.Progress) error {
		tried <- struct{}{} // a second time would block for ever
		return errors.New("gone")
	}, same)
	r.progress(dbos.HistoryProgress{Rows: 1})
	<-tried
	tried <- struct{}{}
	for n := range int64(10) {
		r.progress(dbos.HistoryProgress{Rows: n})
	}
	r.end()
}
