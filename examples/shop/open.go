package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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
	location   string // of the database, as it may be shown
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
	line("data", "%s, open in process %d", nearPath(o.location), os.Getpid())
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
	place := nearPath(o.data)
	if o.db != "" {
		place = quoted(withoutPassword(o.db))
	}
	fmt.Fprintf(w, `
Place some orders, press Crash (or kill -9 %d), and start it again:
  %s
Look inside from another terminal:
  go run ./cmd/dbos ps -d %s
  go run ./cmd/dbos sql -d %s "SELECT state, count(*) FROM orders GROUP BY state"
Ctrl-C closes the shop.
`, os.Getpid(), command(), place, place)
}

// command is the command line that started this process, without passwords.
func command() string {
	program := nearPath(os.Args[0])
	if strings.Contains(program, "go-build") { // go run's own place
		program = "go run ./examples/shop"
	}
	line := []string{program}
	for _, arg := range os.Args[1:] {
		line = append(line, quoted(withoutPassword(arg)))
	}
	return strings.Join(line, " ")
}

// withoutPassword returns an argument of the command line without the password
// that the URL in it may have.
func withoutPassword(arg string) string {
	if name, text, given := strings.Cut(arg, "="); given && strings.HasPrefix(arg, "-") { // -db=postgres://…
		return name + "=" + withoutPassword(text)
	}
	if !strings.HasPrefix(arg, "postgres") {
		return arg
	}
	u, err := url.Parse(arg)
	if err != nil {
		return "postgres://…"
	}
	if _, has := u.User.Password(); has {
		u.User = url.User(u.User.Username())
	}
	query := u.Query()
	query.Del("password")
	query.Del("dbos_direct")
	u.RawQuery = query.Encode()
	return u.String()
}

// quoted returns an argument as a shell reads it.
func quoted(arg string) string {
	if strings.ContainsAny(arg, " ?&*'\"$;|<>()") {
		return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return arg
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
