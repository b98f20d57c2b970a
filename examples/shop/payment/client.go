package payment

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// requestTimeout is how long a request may take. It ends one try, not the
// trying: the error is a Temporary one.
const requestTimeout = 10 * time.Second

// A Client speaks to the service at an address. All methods may be called
// from any goroutine.
type Client struct {
	http http.Client
}

// NewClient returns a client. It does not connect yet.
func NewClient(a Address) *Client {
	transport := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return a.dial(ctx) },
		MaxIdleConnsPerHost: 256,
	}
	return &Client{http: http.Client{Transport: transport}}
}

// Charge takes the money of a request. If the service decides against it, the
// error is a *Declined.
func (c *Client) Charge(ctx context.Context, r Request) (Charge, error) {
	var charge Charge
	err := c.call(ctx, http.MethodPost, "/charges", r, &charge)
	return charge, err
}

// Void gives back everything taken for an order, and keeps it from being
// charged later.
func (c *Client) Void(ctx context.Context, key, order string) error {
	return c.call(ctx, http.MethodPost, "/voids", voiding{key, order}, nil)
}

// Set changes the service's settings.
func (c *Client) Set(ctx context.Context, s Settings) error {
	return c.call(ctx, http.MethodPut, "/settings", s, nil)
}

// Health asks the service how it is.
func (c *Client) Health(ctx context.Context) (Health, error) {
	var h Health
	err := c.call(ctx, http.MethodGet, "/health", nil, &h)
	return h, err
}

// Ledger returns all entries of the service's ledger.
func (c *Client) Ledger(ctx context.Context) ([]Entry, error) {
	response, err := c.send(ctx, http.MethodGet, "/ledger", nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	entries, _, err := ReadLedger(response.Body)
	return entries, err
}

// Attach keeps the service from ending for want of work, until ctx ends or
// the service does. It calls attached once it is.
func (c *Client) Attach(ctx context.Context, attached func()) error {
	response, err := c.send(ctx, http.MethodGet, "/attach", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	attached()
	_, err = io.Copy(io.Discard, response.Body)
	return unreachable(ctx, err)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errNoAnswer)
	defer cancel()
	response, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return unreachable(ctx, err)
	}
	return nil
}

// errNoAnswer is the cause of a request's end after requestTimeout.
var errNoAnswer = abi.Errorf("payment", abi.Unavailable, "", "no answer within %v", requestTimeout)

// send returns the response if it is a good one. The key travels in the body:
// net/http repeats a request with an Idempotency-Key header by itself when its
// connection breaks, and trying again is to be seen in the workflow's journal.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, abi.Errorf("payment", abi.Invalid, "request", "%w", err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://payment"+path, body)
	if err != nil {
		return nil, abi.Errorf("payment", abi.Invalid, "request", "%w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, unreachable(ctx, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	return nil, decodeFailure(ctx, response)
}

func decodeFailure(ctx context.Context, response *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return unreachable(ctx, err)
	}
	if response.StatusCode == http.StatusPaymentRequired {
		declined := new(Declined)
		if err := json.Unmarshal(text, declined); err != nil {
			return unreachable(ctx, err)
		}
		return declined
	}
	var f failure
	if err := json.Unmarshal(text, &f); err != nil {
		return abi.Errorf("payment", abi.Other, "", "the service answered %s", response.Status)
	}
	return abi.Errorf("payment", f.Kind, "", "%s", f.Message)
}

// unreachable is the error of a request that came to no good end: the
// caller's own reason if the caller gave up, else a Temporary one.
func unreachable(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause != nil:
		return cause
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return abi.Errorf("payment", abi.Unavailable, "", "the connection broke before the reply came")
	}
	return abi.Errorf("payment", abi.Unavailable, "", "%w", err)
}
