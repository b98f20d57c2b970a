package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
)

// keys are what is typed. They are read all the time, so that Ctrl-C is seen
// while a statement runs.
type keys struct {
	in   *os.File
	ctx  context.Context
	read chan []byte
	rest []byte // of what was read

	mu        sync.Mutex
	interrupt func() // what Ctrl-C does; nil while a line is typed
	dropped   bool   // Ctrl-C was pressed while a line was typed
}

// ctrlC is what Ctrl-C sends where the terminal does not make a signal of it.
const ctrlC = 3

// dropLine are keys that empty the line and end it: to its end, delete to its
// beginning, enter.
const dropLine = "\x05\x15\r"

// readKeys begins to read. The reading ends with the process: nothing can end
// a read of a terminal.
func readKeys(ctx context.Context, in *os.File) *keys {
	k := &keys{in: in, ctx: ctx, read: make(chan []byte)}
	go func() {
		defer close(k.read)
		for {
			b := make([]byte, 1024)
			n, err := in.Read(b)
			if typed := k.filter(b[:n]); len(typed) > 0 {
				select {
				case k.read <- typed:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// filter takes Ctrl-C out of what was typed.
func (k *keys) filter(typed []byte) []byte {
	if bytes.IndexByte(typed, ctrlC) < 0 {
		return typed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.interrupt != nil {
		k.interrupt()
		return nil
	}
	k.dropped = true
	return append([]byte(dropLine), typed[bytes.LastIndexByte(typed, ctrlC)+1:]...)
}

// Read implements io.Reader. It ends with the context.
func (k *keys) Read(p []byte) (int, error) {
	if len(k.rest) == 0 {
		var ok bool
		select {
		case k.rest, ok = <-k.read:
			if !ok {
				return 0, io.EOF
			}
		case <-k.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// onInterrupt says what Ctrl-C does; nil drops the line.
func (k *keys) onInterrupt(fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interrupt = fn
}

// canceled reports whether the line that was read has been dropped.
func (k *keys) canceled() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.dropped
	k.dropped = false
	return was
}
