package payment

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// config is a service without delay in a directory of its own.
func config(t *testing.T) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "payment") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return Config{
		Address: Address("unix:" + filepath.Join(dir, "payment.sock")),
		Ledger:  filepath.Join(dir, "payments.jsonl"),
		Linger:  time.Minute,
	}
}

// serve runs the service in this process and returns when it answers.
func serve(t *testing.T, c Config) *Client {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	client := NewClient(c.Address)
	awaitHealth(t, client)
	return client
}

// awaitHealth returns the health of the service once it answers.
func awaitHealth(t *testing.T, client *Client) Health {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		h, err := client.Health(ctx)
		if err == nil {
			return h
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			t.Fatal("the service does not answer")
		}
	}
}

func TestChargeOverTheWire(t *testing.T) {
	client := serve(t, config(t))
	charge, err := client.Charge(t.Context(), Request{Key: "k1", Order: "o1", Card: pays, Amount: 500})
	if err != nil || charge.Amount != 500 || charge.ID == "" {
		t.Fatalf("Charge = %+v, %v", charge, err)
	}
	_, err = client.Charge(t.Context(), Request{Key: "k2", Order: "o2", Card: declined, Amount: 500})
	if d, ok := errors.AsType[*Declined](err); !ok || d.Card != "•••• 0002" || Temporary(err) {
		t.Errorf("a declined card: %v", err)
	}
	_, err = client.Charge(t.Context(), Request{Key: "k1", Order: "o1", Card: pays, Amount: 501})
	if !errors.Is(err, abi.Exists) || Temporary(err) {
		t.Errorf("a key used again: %v, want abi.Exists", err)
	}
	_, err = client.Charge(t.Context(), Request{Key: "k3", Order: "o3", Card: "1", Amount: 1})
	if !errors.Is(err, abi.Invalid) || Temporary(err) {
		t.Errorf("a bad card: %v, want abi.Invalid", err)
	}
	if err := client.Void(t.Context(), "v1", "o1"); err != nil {
		t.Errorf("Void: %v", err)
	}
	list, err := client.Ledger(t.Context())
	if err != nil || len(list) != 3 || list[0].Op != Charged || list[1].Op != Refused || list[2].Op != Voided {
		t.Errorf("Ledger = %+v, %v", list, err)
	}
}

// Whatever the faults, one key charges once, and trying again gets there.
func TestFaults(t *testing.T) {
	c := config(t)
	c.Settings.Failures = 1
	client := serve(t, c)
	request := Request{Key: "k1", Order: "o1", Card: pays, Amount: 500}
	for len(entries(t, c.Ledger)) == 0 { // one in two is done, its reply lost
		if _, err := client.Charge(t.Context(), request); !Temporary(err) {
			t.Fatalf("Charge under faults: %v, want a Temporary error", err)
		}
	}
	if err := client.Set(t.Context(), Settings{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Charge(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if list := entries(t, c.Ledger); len(list) != 1 {
		t.Errorf("one key was charged %d times", len(list))
	}
}

func TestDraw(t *testing.T) {
	s := Settings{Latency: 100 * time.Millisecond, Failures: 0.5}
	for _, tt := range []struct {
		luck, pace float64
		fate       fate
		pause      time.Duration
	}{
		{0, 0, refused, 50 * time.Millisecond},
		{0.2499, 0.5, refused, 100 * time.Millisecond},
		{0.25, 0.5, unanswered, 100 * time.Millisecond},
		{0.4999, 0.5, unanswered, 100 * time.Millisecond},
		{0.5, 0.5, answered, 100 * time.Millisecond},
		{0.9999, 1, answered, 150 * time.Millisecond},
	} {
		if f, p := s.draw(tt.luck, tt.pace); f != tt.fate || p != tt.pause {
			t.Errorf("draw(%v, %v) = %v, %v; want %v, %v", tt.luck, tt.pace, f, p, tt.fate, tt.pause)
		}
	}
	if f, p := (Settings{}).draw(0, 0); f != answered || p != 0 {
		t.Errorf("without faults: %v, %v", f, p)
	}
}

func TestBadSettings(t *testing.T) {
	client := serve(t, config(t))
	for _, s := range []Settings{{Latency: -1}, {Latency: time.Hour}, {Failures: -0.1}, {Failures: 1.1}} {
		if err := client.Set(t.Context(), s); !errors.Is(err, abi.Invalid) {
			t.Errorf("Set(%+v): %v, want abi.Invalid", s, err)
		}
	}
}

// The service ends when nobody needs it, and not while somebody is attached.
func TestLinger(t *testing.T) {
	c := config(t)
	c.Linger = 200 * time.Millisecond
	ended := make(chan error, 1)
	go func() { ended <- Serve(t.Context(), c) }()
	client := NewClient(c.Address)
	awaitHealth(t, client)

	ctx, detach := context.WithCancel(t.Context())
	attached, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- client.Attach(ctx, func() { close(attached) }) }()
	<-attached
	select {
	case err := <-ended:
		t.Fatalf("ended while somebody was attached: %v", err)
	case <-time.After(2 * c.Linger):
	}
	detach()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Attach: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := client.Health(t.Context()); !Temporary(err) {
		t.Errorf("after its end: %v, want a Temporary error", err)
	}
}

func TestAddress(t *testing.T) {
	for _, a := range []Address{"unix:/tmp/x.sock", "127.0.0.1:8081", "[::1]:0"} {
		if err := a.Check(); err != nil {
			t.Errorf("Check(%q): %v", a, err)
		}
	}
	long := Address("unix:/" + string(make([]byte, maxSocketPath)))
	for _, a := range []Address{"", "nowhere", long} {
		if err := a.Check(); !errors.Is(err, abi.Invalid) {
			t.Errorf("Check(%q): %v, want abi.Invalid", a, err)
		}
	}
}

// launcher starts this test binary as the service's process: see TestMain.
func launcher(t *testing.T, c Config) *Launcher {
	t.Setenv("PAYMENT_SERVICE", "1") // for the process
	return &Launcher{
		Client:  NewClient(c.Address),
		Command: []string{os.Args[0], string(c.Address), c.Ledger},
		Log:     c.Ledger + ".log",
	}
}

// TestMain lets the test binary be the service's process.
func TestMain(m *testing.M) {
	if os.Getenv("PAYMENT_SERVICE") == "" {
		os.Exit(m.Run())
	}
	err := Serve(context.Background(), Config{Address: Address(os.Args[1]), Ledger: os.Args[2], Linger: time.Minute})
	switch {
	case errors.Is(err, abi.Owned):
		os.Exit(ExitOwned)
	case err != nil:
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
}

// endService kills the service's process at a test's end.
func endService(t *testing.T, client *Client) {
	t.Cleanup(func() {
		if h, err := client.Health(context.Background()); err == nil {
			kill(t, h.PID)
		}
	})
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill %d: %v", pid, err)
	}
}

// Shops that start at the same time find the same service.
func TestStartsOnce(t *testing.T) {
	c := config(t)
	endService(t, NewClient(c.Address))
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		pids  = map[int]int{}
		began = make(chan struct{})
	)
	for range 5 {
		l := launcher(t, c)
		wg.Go(func() {
			<-began
			h, _, err := l.Start(t.Context())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			pids[h.PID]++
			mu.Unlock()
		})
	}
	close(began)
	wg.Wait()
	if len(pids) != 1 || pids[os.Getpid()] != 0 {
		t.Errorf("services by PID: %v, want one, and in another process than %d", pids, os.Getpid())
	}
}

// A killed service is started again, and knows what it knew.
func TestKeep(t *testing.T) {
	c := config(t)
	l := launcher(t, c)
	endService(t, l.Client)
	l.Settings.Failures = 0.25
	ctx, cancel := context.WithCancel(t.Context())
	healths := make(chan Health)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		l.Keep(ctx, func(h Health, err error) {
			if err == nil {
				healths <- h
			}
		})
	}()
	first := <-healths
	if h, err := l.Client.Health(ctx); err != nil || h.Settings != l.Settings {
		t.Errorf("Health = %+v, %v; want the launcher's settings", h, err)
	}
	request := Request{Key: "k1", Order: "o1", Card: pays, Amount: 500}
	var charge Charge
	err := error(abi.Unavailable)
	for err != nil {
		charge, err = l.Client.Charge(ctx, request)
	}
	kill(t, first.PID)
	if second := <-healths; second.PID == first.PID {
		t.Errorf("the killed process %d answers", first.PID)
	}
	again, err := l.Client.Charge(ctx, request)
	for Temporary(err) {
		again, err = l.Client.Charge(ctx, request)
	}
	if err != nil || again != charge {
		t.Errorf("after the kill: %+v, %v; want %+v", again, err, charge)
	}
	cancel()
	<-kept
}

func TestCommandThatEnds(t *testing.T) {
	l := launcher(t, config(t))
	l.Command = []string{os.Args[0], "nowhere", l.Log + "-ledger"}
	_, _, err := l.Start(t.Context())
	if !errors.Is(err, abi.Unavailable) || abi.HintOf(err) == "" {
		t.Errorf("Start = %v, want abi.Unavailable with a hint", err)
	}
}
