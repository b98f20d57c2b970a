package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far a batch is. step may be called from any goroutine.
type progress interface {
	start(total int)
	step()
	end()
}

// newProgress returns a bar on a terminal, and a line now and then elsewhere.
func newProgress(f *os.File) progress {
	if isTerminal(f) {
		return &bar{out: f}
	}
	return &lines{out: f}
}

// isTerminal takes a character device for a terminal; a bar on any other does
// no harm.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A bar is the progress on a terminal.
type bar struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

func (b *bar) start(total int) {
	b.bar = progressbar.NewOptions(total,
		progressbar.OptionSetWriter(b.out),
		progressbar.OptionSetDescription("orders"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("orders"),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}

// The bar's errors are those of writing to the terminal; the batch does not
// end for that.
func (b *bar) step() { _ = b.bar.Add(1) }
func (b *bar) end()  { _ = b.bar.Clear() }

// lineInterval is the time between two lines of lines.
const lineInterval = 5 * time.Second

// lines is the progress in a log.
type lines struct {
	out io.Writer

	mu          sync.Mutex
	done, total int
	last        time.Time
}

func (l *lines) start(total int) { l.total, l.last = total, time.Now() }

func (l *lines) step() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	if now := time.Now(); now.Sub(l.last) >= lineInterval {
		l.last = now
		fmt.Fprintf(l.out, "%d of %d orders\n", l.done, l.total)
	}
}

func (l *lines) end() {}
