package main

import (
	"fmt"
	"sync"
	"time"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// patience is how long a call may take before its progress is shown.
const patience = time.Second

// A tracker shows that something long is under way, and how far it is: on a
// terminal in place, elsewhere as a line now and then.
type tracker struct {
	cli    *cli
	screen screen // of what it is shown on
	what   string
	began  time.Time

	mu     sync.Mutex
	latest *dbosv1.Progress
	shown  bool

	stop  chan struct{}
	ended chan struct{}
}

// track begins to show what is done. It has to be ended before anything else
// is printed.
func (c *cli) track(what string) *tracker {
	t := newTracker(c, newScreen(c.err, c.noColor), what)
	go t.run()
	return t
}

func newTracker(c *cli, s screen, what string) *tracker {
	return &tracker{cli: c, screen: s, what: what, began: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
}

func (t *tracker) run() {
	defer close(t.ended)
	pause := 5 * time.Second
	if t.screen.terminal {
		pause = 100 * time.Millisecond
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.print(time.Since(t.began))
		case <-t.stop:
			return
		}
	}
}

// show remembers how far the call is.
func (t *tracker) show(p *dbosv1.Progress) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = p
}

func (t *tracker) print(elapsed time.Duration) {
	if elapsed < patience {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	line := printable(progressText(t.what, t.latest, elapsed))
	if !t.screen.terminal {
		fmt.Fprintln(t.cli.err, line)
		return
	}
	t.shown = true
	if t.screen.width > 0 {
		line = shorten(line, t.screen.width-1) // a longer one would not go away
	}
	fmt.Fprintf(t.cli.err, "\r%s\x1b[K", line)
}

// clear removes the line, so that something else can be printed.
func (t *tracker) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shown {
		fmt.Fprint(t.cli.err, "\r\x1b[K")
		t.shown = false
	}
}

// end removes the line for good.
func (t *tracker) end() {
	close(t.stop)
	<-t.ended
	t.clear()
}

// progressText is how far something is: "restoring: copying orders, 1200 of
// 5000, for 3s".
func progressText(what string, p *dbosv1.Progress, elapsed time.Duration) string {
	text := what
	if p.GetPhase() != "" {
		text += ": " + p.Phase
	}
	if p.GetSubject() != "" {
		text += " " + p.Subject
	}
	switch {
	case p.GetTotal() > 0:
		text += fmt.Sprintf(", %d of %d", p.Done, p.Total)
	case p.GetDone() > 0:
		text += fmt.Sprintf(", %d", p.Done)
	}
	return text + ", for " + took(elapsed)
}
