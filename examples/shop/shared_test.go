package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dbos-go/dbos/dbms/postgres/pgtest"
)

// sharedFile is how many orders two shops work on.
const sharedFile = 200

// TestShopsShareADatabase kills a shop in the middle of a file of orders: the
// other one, on the same PostgreSQL database, finishes what it had begun. The
// file is then worked through again, and everything is counted.
func TestShopsShareADatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := newCrashTest(t)
	var text bytes.Buffer
	if err := generateOrders(&text, sharedFile); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	db := server.URL(pgtest.Schema(t))
	survivor := c.start(ctx, "-db", db, "-addr", "127.0.0.1:0")
	url := survivor.url(ctx)
	victim := c.start(ctx, "-db", db, "-orders", c.file)
	awaitOrders(ctx, t, url, func(b Board) bool { return b.Counts[Confirmed] > sharedFile/10 })
	victim.end(syscall.SIGKILL)
	awaitOrders(ctx, t, url, func(b Board) bool { return b.Counts["queued"]+b.Counts["reserved"] == 0 })

	again := c.start(ctx, "-db", db, "-orders", c.file, "-json")
	<-again.ended
	var sum Summary
	if err := json.Unmarshal(again.stdout.Bytes(), &sum); again.err != nil || err != nil {
		t.Fatalf("%v, %v\n%s", again.err, err, again.output())
	}
	if sum.Orders != sharedFile || sum.Earlier == 0 || !sum.ok() {
		t.Errorf("%+v", sum)
	}
	survivor.end(syscall.SIGTERM)
}

// awaitOrders reads the page's events until a board is as wanted.
func awaitOrders(ctx context.Context, t *testing.T, url string, wanted func(Board) bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		event, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var b Board
		if err := json.Unmarshal([]byte(event), &b); err != nil {
			t.Fatal(err)
		}
		if wanted(b) {
			return
		}
	}
	t.Fatalf("the events ended: %v", ctx.Err())
}
