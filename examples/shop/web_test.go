package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/examples/shop/payment"
)

// newWeb serves a shop's page; crash is what the Crash button does.
func newWeb(t *testing.T, crash func()) (*Shop, *paymentWatch, string) {
	t.Helper()
	shop, payments := newShop(t), &paymentWatch{}
	web := &web{shop: shop, payments: payments, crash: crash, process: Process{PID: 1, Command: "again"}}
	handler, err := web.handler()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(ctx, handler)
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(cancel)
	return shop, payments, server.URL
}

// get returns what the server answers.
func get(t *testing.T, method, url, body string) (status int, text string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer), response.Header
}

func TestPage(t *testing.T) {
	_, _, url := newWeb(t, nil)
	for path, kind := range map[string]string{"/": "text/html", "/style.css": "text/css", "/main.js": "javascript", "/journal.js": "javascript"} {
		status, text, header := get(t, "GET", url+path, "")
		if status != 200 || text == "" || !strings.Contains(header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %d bytes, %s", path, status, len(text), header.Get("Content-Type"))
		}
		if strings.Contains(text, "https://") || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s may load something from elsewhere", path)
		}
	}
	if status, _, _ := get(t, "GET", url+"/nowhere", ""); status != 404 {
		t.Errorf("/nowhere: %d", status)
	}
}

func TestOrderOverHTTP(t *testing.T) {
	shop, _, url := newWeb(t, nil)
	for range 2 { // an order that is sent again is the same order
		status, text, header := get(t, "POST", url+"/orders", goodLine)
		if status != 202 || strings.TrimSpace(text) != `{"id":"o1"}` || header.Get("Location") != "/orders/o1" {
			t.Errorf("%d %s", status, text)
		}
	}
	if r := buy(t, shop, Order{ID: "o1", Item: "tea", Quantity: 1, Customer: "Ada", Card: payment.CardThatPays}); r.State != Confirmed {
		t.Errorf("receipt %+v", r)
	}
	expectAudit(t, shop, 1)

	status, text, _ := get(t, "POST", url+"/orders", strings.Replace(goodLine, `"id":"o1",`, "", 1))
	if status != 202 || !strings.HasPrefix(text, `{"id":"w-`) {
		t.Errorf("without an ID: %d %s", status, text)
	}
}

func TestBadOrdersOverHTTP(t *testing.T) {
	shop, _, url := newWeb(t, nil)
	buy(t, shop, someOrder("taken"))
	tests := []struct {
		body   string
		status int
		field  string
	}{
		{"", 422, "JSON"},
		{"{", 422, "JSON"},
		{goodLine + "x", 422, "JSON"},
		{strings.Replace(goodLine, "tea", "tee", 1), 422, "item"},
		{strings.Replace(goodLine, "Ada", "", 1), 422, "customer"},
		{strings.Replace(goodLine, `:1,`, `:0,`, 1), 422, "quantity"},
		{strings.Replace(goodLine, `:1,`, `:"1",`, 1), 422, "quantity"},
		{strings.Replace(goodLine, "4242", "4241", 1), 422, "card"},
		{strings.Replace(goodLine, "Ada", strings.Repeat("a", maxOrder), 1), 422, "JSON"},
		{strings.Replace(goodLine, "o1", "taken", 1), 409, ""},
	}
	for _, tt := range tests {
		status, text, _ := get(t, "POST", url+"/orders", tt.body)
		var refused refusal
		if err := json.Unmarshal([]byte(text), &refused); err != nil {
			t.Errorf("%.80s: %v in %s", tt.body, err, text)
		}
		if status != tt.status || refused.Field != tt.field || refused.Error == "" {
			t.Errorf("%.80s: %d %s; want %d about %q", tt.body, status, text, tt.status, tt.field)
		}
	}
	expectAudit(t, shop, 1)
}

func TestJournalOverHTTP(t *testing.T) {
	shop, _, url := newWeb(t, nil)
	buy(t, shop, someOrder("o1"))
	status, text, _ := get(t, "GET", url+"/orders/o1", "")
	var j Journal
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, step := range j.Steps {
		names = append(names, step.Name)
		if step.PID == 0 || step.Finished.Before(step.Started) {
			t.Errorf("step %+v", step)
		}
	}
	if status != 200 || strings.Join(names, " ") != "reserve charge confirm" || j.Run != "succeeded" {
		t.Errorf("%d %s", status, text)
	}
	if strings.Contains(text, "42424242") {
		t.Errorf("the card is shown: %s", text)
	}
	if status, text, _ := get(t, "GET", url+"/orders/none", ""); status != 404 {
		t.Errorf("no order: %d %s", status, text)
	}
}

// boards returns the boards of a stream as they come.
func boards(t *testing.T, url string) <-chan Board {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	c := make(chan Board)
	go func() {
		defer close(c)
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var b Board
			if err := json.Unmarshal([]byte(data), &b); err != nil {
				t.Errorf("event %s: %v", data, err)
			}
			select {
			case c <- b:
			case <-t.Context().Done():
				return
			}
		}
	}()
	return c
}

// await returns the first board that is as wanted.
func await(t *testing.T, c <-chan Board, wanted func(Board) bool) Board {
	t.Helper()
	for b := range c {
		if wanted(b) {
			return b
		}
	}
	t.Fatal("the stream ended before the board was as wanted")
	return Board{}
}

// The board follows the orders, the open journal and the payment service
// without being asked again.
func TestLive(t *testing.T) {
	shop, payments, url := newWeb(t, nil)
	c := boards(t, url+"/live?journal=o1")
	first := await(t, c, func(Board) bool { return true })
	if len(first.Items) != len(testCatalogue) || len(first.Orders) != 0 || first.Journal != nil || first.Process.PID != 1 {
		t.Errorf("first board %+v", first)
	}
	if _, err := shop.place(t.Context(), someOrder("o1")); err != nil {
		t.Fatal(err)
	}
	b := await(t, c, func(b Board) bool { return b.Counts[Confirmed] == 1 && b.Orders[0].Run == "succeeded" })
	if o := b.Orders[0]; o.ID != "o1" || *o.Amount != 2*740 || o.DecidedAt == nil || o.State != Confirmed {
		t.Errorf("order %+v", o)
	}
	if b.Journal == nil || len(b.Journal.Steps) != 3 {
		t.Errorf("journal %+v", b.Journal)
	}
	payments.report(payment.Health{PID: 77}, nil)
	await(t, c, func(b Board) bool { return b.Payment.Up && b.Payment.PID == 77 })
	payments.report(payment.Health{}, io.EOF)
	await(t, c, func(b Board) bool { return !b.Payment.Up })
}

func TestCrashButton(t *testing.T) {
	pressed := 0
	_, _, url := newWeb(t, func() { pressed++ })
	if status, _, _ := get(t, "GET", url+"/crash", ""); status != 404 || pressed != 0 {
		t.Errorf("GET /crash: %d, pressed %d times", status, pressed)
	}
	request, err := http.NewRequestWithContext(t.Context(), "POST", url+"/crash", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site") // another site's page
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 403 || pressed != 0 {
		t.Errorf("from another site: %d, pressed %d times", response.StatusCode, pressed)
	}
	if status, _, _ := get(t, "POST", url+"/crash", ""); status != 200 || pressed != 1 {
		t.Errorf("POST /crash: %d, pressed %d times", status, pressed)
	}
}
