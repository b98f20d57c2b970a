package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dbos-go/dbos/examples/shop/payment"
)

const (
	crashKills     = 100 // of the shop, at least
	crashShort     = 15  // with -short
	crashCustomers = 8   // who order all the time
	crashFile      = 1500
	minUptime      = 50 * time.Millisecond
	maxUptime      = 700 * time.Millisecond
	crashDeadline  = 4 * time.Minute
)

// TestCrash kills the real program at random moments while customers order
// over HTTP and files of orders are worked through, kills the payment service
// now and then, lets it all end in peace, and then counts every piece, every
// cent and every order.
func TestCrash(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), crashDeadline)
	defer cancel()
	c := newCrashTest(t)
	customers, closeShop := context.WithCancel(ctx)
	var crowd sync.WaitGroup
	for n := range crashCustomers {
		crowd.Go(func() { c.customer(ctx, customers, n) })
	}
	kills := crashKills
	if testing.Short() {
		kills = crashShort
	}
	for round := 0; c.kills < kills && ctx.Err() == nil && !t.Failed(); round++ {
		c.round(ctx, round)
	}

	// In peace: the customers' last orders get through, and all is finished.
	last := c.start(ctx, "-addr", "127.0.0.1:0")
	url := last.url(ctx)
	c.door.set(url)
	closeShop()
	crowd.Wait()
	c.awaitFinished(ctx, url)
	last.end(syscall.SIGTERM)
	c.finishFile(ctx)
	if c.overHTTP < kills {
		t.Errorf("only %d orders got through %d kills: the load is too small to show anything", c.overHTTP, c.kills)
	}
	c.check()
}

// A crashTest is what the test knows: what was sent and accepted, and how
// often it killed.
type crashTest struct {
	t            *testing.T
	dir, file    string
	payments     *payment.Client
	door         *door
	kills        int
	paymentKills int
	batchDone    bool

	mu       sync.Mutex
	orders   map[string]Order // all that the shop was told of and must finish
	overHTTP int
}

func newCrashTest(t *testing.T) *crashTest {
	c := &crashTest{t: t, dir: t.TempDir(), door: newDoor(), orders: map[string]Order{}}
	c.payments = payment.NewClient(payment.Address("unix:" + filepath.Join(c.dir, "data", "payment.sock")))
	t.Cleanup(func() { c.killPayments(context.Background()) }) // leave nothing behind
	c.file = filepath.Join(c.dir, "orders.jsonl")
	var text bytes.Buffer
	if err := generateOrders(&text, crashFile); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	orders, err := readOrderFile(c.file, testCatalogue)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range orders {
		c.orders[o.ID] = o
	}
	return c
}

// round starts the shop and kills it after a random time, counted from its
// start or, every other time, from when it is open. Every third one works
// through the file.
func (c *crashTest) round(ctx context.Context, n int) {
	args := []string{"-addr", "127.0.0.1:0"}
	batch := n%3 == 2 && !c.batchDone
	if batch {
		args = []string{"-orders", c.file, "-tills", "4"}
	}
	p := c.start(ctx, args...)
	defer c.door.set("")
	life := minUptime + rand.N(maxUptime-minUptime)
	uptime, payments := time.NewTimer(life), time.NewTimer(rand.N(life))
	defer uptime.Stop()
	defer payments.Stop()
	if n%2 == 1 {
		uptime.Stop()
	}
	if n%4 != 1 {
		payments.Stop()
	}
	for {
		select {
		case url := <-p.opened:
			if !batch {
				c.door.set(url)
			}
			if n%2 == 1 {
				uptime.Reset(life)
			}
		case <-payments.C:
			if c.killPayments(ctx) {
				c.paymentKills++
			}
		case <-uptime.C:
			p.end(syscall.SIGKILL)
			c.kills++
			return
		case <-p.ended:
			if c.batchDone = batch; !batch || p.err != nil {
				c.t.Errorf("round %d: the shop ended by itself: %v\n%s", n, p.err, p.output())
			}
			return
		}
	}
}

// customer orders again and again. An order that had no answer is sent again,
// as the page does, also when the shop has closed for new ones.
func (c *crashTest) customer(ctx, open context.Context, n int) {
	random := rand.New(rand.NewPCG(uint64(n), uint64(time.Now().UnixNano())))
	client := http.Client{Timeout: 10 * time.Second}
	pace := time.NewTicker(60 * time.Millisecond)
	defer pace.Stop()
	for i := 0; open.Err() == nil; i++ {
		url, err := c.door.wait(open)
		if err != nil {
			return
		}
		order := randomOrder(random, fmt.Sprintf("c%d-%d", n, i))
		order.Quantity = 1 // so that the stock lasts
		for !c.post(ctx, &client, url, order) {
			if url, err = c.door.wait(ctx); err != nil {
				c.t.Errorf("order %s was never accepted: %v", order.ID, err)
				return
			}
		}
		select {
		case <-pace.C:
		case <-open.Done():
		}
	}
}

// post sends an order and reports whether the shop acknowledged it.
func (c *crashTest) post(ctx context.Context, client *http.Client, url string, o Order) bool {
	body, err := json.Marshal(o)
	if err != nil {
		c.t.Error(err)
		return true
	}
	request, err := http.NewRequestWithContext(ctx, "POST", url+"/orders", bytes.NewReader(body))
	if err != nil {
		c.t.Error(err)
		return true
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case response.StatusCode == http.StatusServiceUnavailable:
		return false
	case response.StatusCode != http.StatusAccepted:
		c.t.Errorf("order %s: %d %s, %v", o.ID, response.StatusCode, text, err)
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.orders[o.ID] = o
	c.overHTTP++
	return true
}

// awaitFinished returns when the shop's page says that no order is waiting or
// being worked on.
func (c *crashTest) awaitFinished(ctx context.Context, url string) {
	await(c.t, boards(c.t, url+"/live"), func(b Board) bool {
		return b.Counts["queued"] == 0 && b.Counts["reserved"] == 0 || ctx.Err() != nil
	})
	if ctx.Err() != nil {
		c.t.Fatal("not everything was finished in time")
	}
}

// finishFile runs the file of orders to its end, and expects that the program
// itself finds nothing wrong.
func (c *crashTest) finishFile(ctx context.Context) {
	p := c.start(ctx, "-orders", c.file, "-json")
	<-p.ended
	var sum Summary
	if err := json.Unmarshal(p.stdout.Bytes(), &sum); p.err != nil || err != nil {
		c.t.Errorf("the last run: %v, %v\n%s", p.err, err, p.output())
		return
	}
	if sum.Orders != crashFile || !sum.ok() || len(sum.Failed) > 0 {
		c.t.Errorf("the last run: %s", p.output())
	}
}

// killPayments kills the payment service, if one answers.
func (c *crashTest) killPayments(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	h, err := c.payments.Health(ctx)
	return err == nil && syscall.Kill(h.PID, syscall.SIGKILL) == nil
}

// A door is the address at which the shop can be reached, which changes.
type door struct {
	mu      sync.Mutex
	url     string // "" while it is closed
	changed chan struct{}
}

func newDoor() *door { return &door{changed: make(chan struct{})} }

func (d *door) set(url string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.url = url
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *door) wait(ctx context.Context) (string, error) {
	for {
		d.mu.Lock()
		url, changed := d.url, d.changed
		d.mu.Unlock()
		if url != "" {
			return url, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// A program is a running shop.
type program struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	opened         chan string   // receives the page's address, or a batch's file, once
	ended          chan struct{} // closed at its end, after err is set
	err            error
}

// start starts this test binary as the shop: see TestMain.
func (c *crashTest) start(ctx context.Context, args ...string) *program {
	c.t.Helper()
	args = append(args, "-data", filepath.Join(c.dir, "data"), "-latency", "15ms", "-failures", "0.4", "-tries", "4")
	p := &program{t: c.t, cmd: exec.CommandContext(ctx, os.Args[0], args...), opened: make(chan string, 1), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "SHOP_PROGRAM=1")
	p.cmd.Stdout = &finder{kept: &p.stdout, after: "The shop is open: ", found: p.opened}
	p.cmd.Stderr = &p.stderr
	if slices.Contains(args, "-orders") {
		p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &finder{kept: &p.stderr, after: "Working through ", found: p.opened}
	}
	if err := p.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	return p
}

// A finder keeps what a program prints, and finds a line in it.
type finder struct {
	kept  *bytes.Buffer
	after string      // what the line begins with
	found chan string // receives the rest of the line, once
	done  bool
}

func (f *finder) Write(text []byte) (int, error) {
	f.kept.Write(text)
	_, rest, begun := strings.Cut(f.kept.String(), f.after)
	if line, _, whole := strings.Cut(rest, "\n"); begun && whole && !f.done {
		f.done = true
		f.found <- line
	}
	return len(text), nil
}

func (p *program) url(ctx context.Context) string {
	p.t.Helper()
	select {
	case url := <-p.opened:
		return url
	case <-p.ended:
	case <-ctx.Done():
	}
	p.t.Fatalf("the shop did not open: %v\n%s", p.err, p.output())
	return ""
}

// end sends a signal and waits for the program's end.
func (p *program) end(s syscall.Signal) {
	p.t.Helper()
	_ = p.cmd.Process.Signal(s) // it may have ended by itself
	<-p.ended
	if s == syscall.SIGTERM && p.err != nil {
		p.t.Errorf("the shop did not close in good order: %v\n%s", p.err, p.output())
	}
}

// output is what the program printed; call it after its end.
func (p *program) output() string {
	select {
	case <-p.ended:
		return p.stdout.String() + p.stderr.String()
	default:
		return "(still running)"
	}
}
