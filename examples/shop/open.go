package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/examples/shop/payment"
)

// An opening is what there is to say when the shop opens.
type opening struct {
	config
	payment    payment.Health
	started    bool // the payment service, by us
	unfinished int
}

// write tells people what has been opened and what to try. url is "" without
// a page.
func (o opening) write(w io.Writer, url string) {
	if url != "" {
		fmt.Fprintf(w, "The shop is open: %s\n\n", url)
	}
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-8s "+format+"\n", append([]any{name}, args...)...)
	}
	line("data", "%s, open in process %d", nearPath(o.data), os.Getpid())
	verb := "found running"
	if o.started {
		verb = "started"
	}
	line("payment", "process %d, %s; takes about %v, fails %.0f %% of the time", o.payment.PID, verb,
		o.settings.Latency, 100*o.settings.Failures)
	line("ledger", "%s", nearPath(o.payment.Ledger))
	switch o.unfinished {
	case 0:
		line("orders", "none unfinished")
	case 1:
		line("orders", "1 unfinished order continues now")
	default:
		line("orders", "%d unfinished orders continue now", o.unfinished)
	}
	if url == "" {
		return
	}
	dir := nearPath(o.data)
	fmt.Fprintf(w, `
Place some orders, press Crash (or kill -9 %d), and start it again:
  %s
Look inside from another terminal:
  go run ./cmd/dbos ps -d %s
  go run ./cmd/dbos sql -d %s "SELECT state, count(*) FROM orders GROUP BY state"
Ctrl-C closes the shop.
`, os.Getpid(), command(), dir, dir)
}

// command is the command line that started this process.
func command() string {
	program := nearPath(os.Args[0])
	if strings.Contains(program, "go-build") { // go run's own place
		program = "go run ./examples/shop"
	}
	return strings.Join(append([]string{program}, os.Args[1:]...), " ")
}

// nearPath is a path as seen from the working directory, if that is shorter.
func nearPath(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if near, err := filepath.Rel(dir, path); err == nil && len(near) < len(path) {
		return near
	}
	return path
}

// closeGrace is how long requests may take to end when the shop closes.
const closeGrace = 5 * time.Second

// serveWeb serves the page until ctx ends.
func serveWeb(ctx context.Context, shop *Shop, payments *paymentWatch, o opening) error {
	listener, err := net.Listen("tcp", o.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return abi.Errorf("shop.open", abi.Unavailable, "address "+o.addr, "%w", err).
			WithHint("another program has the port; take another one, such as -addr 127.0.0.1:0")
	}
	if err != nil {
		return abi.Errorf("shop.open", abi.Invalid, "address "+o.addr, "%w", err)
	}
	web := &web{shop: shop, payments: payments, crash: crash, process: Process{
		PID: os.Getpid(), Started: time.Now().UTC(), Continued: o.unfinished, Command: command(),
	}}
	handler, err := web.handler()
	if err != nil {
		return err
	}
	server := newServer(ctx, handler)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	o.write(os.Stdout, "http://"+listener.Addr().String())
	select {
	case err := <-served:
		return abi.Errorf("shop.serve", abi.Unavailable, "address "+o.addr, "%w", err)
	case <-ctx.Done():
	}
	grace, stop := context.WithTimeout(context.Background(), closeGrace)
	defer stop()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, http.ErrServerClosed) {
		server.Close()
	}
	unfinished, err := shop.unfinished(grace)
	if err == nil {
		fmt.Printf("\nThe shop is closed; %d unfinished orders continue when it opens again.\n", unfinished)
	}
	return err
}

// crash ends the process as hard as anything can: nothing is saved, closed or
// said to anybody, besides a line to the person at the terminal.
func crash() {
	fmt.Fprintf(os.Stderr, "\nCrash: process %d kills itself now (SIGKILL). Start it again:\n  %s\n", os.Getpid(), command())
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}
