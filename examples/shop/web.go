package main

import (
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// page is what the browser gets: plain HTML, CSS and JavaScript.
//
//go:embed page
var page embed.FS

// A web serves the shop's page and what it calls.
//
//	GET  /              the page
//	GET  /live          a Board, again at every change (server-sent events);
//	                    with ?journal=ID the Journal of that order too
//	POST /orders        an Order: 202 with its ID once it is on disk
//	GET  /orders/{id}   a Journal
//	POST /crash         kills the process
type web struct {
	shop     *Shop
	process  Process
	payments *paymentWatch
	crash    func()
}

// handler returns the web's routes. Requests that change something are refused
// when they come from another site's page.
func (web *web) handler() (http.Handler, error) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /live", web.live)
	mux.HandleFunc("POST /orders", web.order)
	mux.HandleFunc("GET /orders/{id}", web.journal)
	mux.HandleFunc("POST /crash", func(http.ResponseWriter, *http.Request) { web.crash() })
	return http.NewCrossOriginProtection().Handler(guarded(mux)), nil
}

// guarded lets the page load nothing from elsewhere, nor be framed by others.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}

// maxOrder is the longest order, in bytes, that is read.
const maxOrder = 16 << 10

// order accepts an order. The page chooses the ID, so that it can send the
// same order again when the server dies before it answers.
func (web *web) order(w http.ResponseWriter, r *http.Request) {
	o, err := decodeOrder(http.MaxBytesReader(w, r.Body, maxOrder))
	if err != nil {
		refuse(w, err)
		return
	}
	if o.ID == "" {
		o.ID = "w-" + strings.ToLower(rand.Text()[:10])
	}
	run, err := web.shop.place(r.Context(), o)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Location", "/orders/"+run.ID())
	answer(w, http.StatusAccepted, map[string]string{"id": run.ID()})
}

func (web *web) journal(w http.ResponseWriter, r *http.Request) {
	j, err := web.shop.journal(r.Context(), r.PathValue("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, j)
}

func (web *web) live(w http.ResponseWriter, r *http.Request) {
	opened := r.URL.Query().Get("journal")
	web.stream(w, r, func(ctx context.Context) (any, error) {
		board := Board{Process: web.process, Payment: web.payments.state()}
		if err := web.shop.readBoard(ctx, &board); err != nil || opened == "" {
			return board, err
		}
		journal, err := web.shop.journal(ctx, opened)
		if errors.Is(err, abi.NotFound) {
			return board, nil
		}
		board.Journal = &journal
		return board, err
	})
}

// A refusal is an error as the page gets it.
type refusal struct {
	Error string `json:"error"`
	Field string `json:"field,omitempty"` // of the order
	Hint  string `json:"hint,omitempty"`
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch abi.KindOf(err) {
	case abi.Invalid:
		status = http.StatusUnprocessableEntity
	case abi.NotFound:
		status = http.StatusNotFound
	case abi.Exists:
		status = http.StatusConflict
	case abi.Closed, abi.Unavailable, abi.Canceled, abi.Timeout:
		status = http.StatusServiceUnavailable
	}
	answer(w, status, refusalOf(err))
}

// refusalOf splits an error into the parts that the page shows apart.
func refusalOf(err error) refusal {
	refused := refusal{Error: err.Error(), Hint: abi.HintOf(err)}
	if e, ok := err.(*abi.Error); ok && e.Err != nil && e.Kind == abi.Invalid {
		refused.Error, refused.Field = e.Err.Error(), e.Resource
	}
	return refused
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the browser is gone
}

// newServer returns the HTTP server of a handler. Requests end with ctx, also
// those that would go on for ever.
func newServer(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, BaseContext: contextOf(ctx)}
}
