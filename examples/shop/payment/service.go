package payment

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"github.com/dbos-go/dbos/abi"
)

// maxBody is the longest request, in bytes, that the service reads.
const maxBody = 64 << 10

// A Service answers requests out of a ledger: slowly, and not always.
//
//	POST /charges    a Request: 200 a Charge, 402 a Declined
//	POST /voids      a voiding: 200
//	GET  /ledger     the ledger's file
//	GET  /health     a Health
//	PUT  /settings   Settings
//	GET  /attach     nothing, for as long as the caller likes: see Serve
type Service struct {
	ledger   *Ledger
	path     string
	settings atomic.Pointer[Settings]
	idle     *idleness
	mux      *http.ServeMux
}

// Health describes a running service.
type Health struct {
	PID      int      `json:"pid"`
	Ledger   string   `json:"ledger"` // path
	Settings Settings `json:"settings"`
}

// A voiding asks to give back what was taken for an order.
type voiding struct {
	Key   string `json:"key"`
	Order string `json:"order"`
}

// NewService returns a service over a ledger whose file is at path.
func NewService(ledger *Ledger, path string, settings Settings) (*Service, error) {
	if err := settings.Check(); err != nil {
		return nil, err
	}
	s := &Service{ledger: ledger, path: path, idle: newIdleness(), mux: http.NewServeMux()}
	s.settings.Store(&settings)
	s.mux.HandleFunc("POST /charges", s.charge)
	s.mux.HandleFunc("POST /voids", s.void)
	s.mux.HandleFunc("GET /ledger", s.sendLedger)
	s.mux.HandleFunc("GET /health", s.health)
	s.mux.HandleFunc("PUT /settings", s.set)
	s.mux.HandleFunc("GET /attach", s.attach)
	return s, nil
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.idle.begin()
	defer s.idle.end()
	s.mux.ServeHTTP(w, r)
}

func (s *Service) charge(w http.ResponseWriter, r *http.Request) {
	var request Request
	if !read(w, r, &request) {
		return
	}
	var e Entry
	s.unreliably(w, r.Context(), func() (err error) {
		e, err = s.ledger.Charge(request)
		return err
	}, func() {
		if e.Op == Refused {
			reply(w, http.StatusPaymentRequired, Declined{Card: e.Card, Reason: e.Reason})
			return
		}
		reply(w, http.StatusOK, Charge{ID: e.chargeID(), Amount: e.Amount, At: e.At})
	})
}

func (s *Service) void(w http.ResponseWriter, r *http.Request) {
	var v voiding
	if !read(w, r, &v) {
		return
	}
	s.unreliably(w, r.Context(), func() error {
		_, err := s.ledger.Void(v.Key, v.Order)
		return err
	}, func() { reply(w, http.StatusOK, struct{}{}) })
}

// unreliably does what a request asks for and answers, with the delay and the
// faults of the settings. Half of the delay is before, half after the doing,
// so that a caller who is killed meanwhile may be killed on either side.
func (s *Service) unreliably(w http.ResponseWriter, ctx context.Context, do func() error, answer func()) {
	fate, delay := s.settings.Load().drawRandom()
	if pause(ctx, delay/2) != nil {
		return
	}
	if fate == refused {
		fail(w, abi.Errorf("payment", abi.Unavailable, "", "the service is overloaded; try again"))
		return
	}
	err := do()
	if pause(ctx, delay/2) != nil {
		return
	}
	switch {
	case fate == unanswered:
		panic(http.ErrAbortHandler) // closes the connection without a word
	case err != nil:
		fail(w, err)
	default:
		answer()
	}
}

func (s *Service) sendLedger(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, s.path) }

func (s *Service) health(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, Health{PID: os.Getpid(), Ledger: s.path, Settings: *s.settings.Load()})
}

func (s *Service) set(w http.ResponseWriter, r *http.Request) {
	var settings Settings
	if !read(w, r, &settings) {
		return
	}
	if err := settings.Check(); err != nil {
		fail(w, err)
		return
	}
	s.settings.Store(&settings)
	reply(w, http.StatusOK, settings)
}

func (s *Service) attach(w http.ResponseWriter, r *http.Request) {
	if http.NewResponseController(w).Flush() == nil {
		<-r.Context().Done()
	}
}

// read takes the request's JSON into v, or answers what is wrong with it.
func read(w http.ResponseWriter, r *http.Request, v any) bool {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, extra := d.Token(); !errors.Is(extra, io.EOF) {
			err = errors.New("something follows the JSON value")
		}
	}
	if err != nil {
		fail(w, abi.Errorf("payment", abi.Invalid, "request", "%w", err))
	}
	return err == nil
}

// A failure is how an error travels.
type failure struct {
	Kind    abi.Kind `json:"kind"`
	Message string   `json:"message"`
}

func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch abi.KindOf(err) {
	case abi.Invalid:
		status = http.StatusUnprocessableEntity
	case abi.Exists, abi.Conflict:
		status = http.StatusConflict
	case abi.Unavailable:
		status = http.StatusServiceUnavailable
	}
	reply(w, status, failure{abi.KindOf(err), err.Error()})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only when the caller is gone
}

// An idleness knows whether a service has anything to do.
type idleness struct {
	mu      sync.Mutex
	open    int           // requests being answered
	changed chan struct{} // closed and replaced at each change
}

func newIdleness() *idleness { return &idleness{changed: make(chan struct{})} }

func (i *idleness) begin() { i.add(1) }
func (i *idleness) end()   { i.add(-1) }

func (i *idleness) add(n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.open += n
	close(i.changed)
	i.changed = make(chan struct{})
}

// state returns whether there is nothing to do, and what is closed when that
// may have changed.
func (i *idleness) state() (bool, <-chan struct{}) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.open == 0, i.changed
}
