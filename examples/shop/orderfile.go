package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/dbos-go/dbos/abi"
)

const (
	// maxLine is the longest line of an order file, in bytes.
	maxLine = 64 << 10
	// maxBadLines is how many bad lines are reported before giving up.
	maxBadLines = 20
)

// readOrderFile reads a file of orders, one JSON object a line. If any line is
// bad, the error names each one, as FILE:LINE, and there are no orders.
func readOrderFile(path string, catalogue []string) ([]Order, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, abi.Errorf("shop.orders", abi.Invalid, path, "%w", err).
			WithHint("write a file of orders with -generate 1000 > %s", path)
	}
	return parseOrders(path, text, catalogue)
}

// parseOrders parses the text of an order file. An order without an ID gets
// one from the whole file's digest and its line number: running the same file
// again then means the same orders, and another file means others.
func parseOrders(name string, text []byte, catalogue []string) ([]Order, error) {
	digest := sha256.Sum256(text)
	p := orderParser{
		prefix: hex.EncodeToString(digest[:6]), catalogue: catalogue, lines: map[string]int{},
	}
	var problems []error
	lines := bufio.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	for number := 1; ; number++ {
		line, readErr := lines.ReadBytes('\n')
		if err := p.parse(number, bytes.TrimSpace(line)); err != nil {
			problems = append(problems, atLine(name, number, err))
		}
		if len(problems) == maxBadLines {
			problems = append(problems, abi.Errorf("shop.orders", abi.Invalid, name, "there may be more bad lines"))
			break
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
	}
	if len(problems) == 0 && len(p.orders) == 0 {
		return nil, abi.Errorf("shop.orders", abi.Invalid, name, "it has no orders").
			WithHint(`write one JSON object a line, such as {"item":"tea","quantity":1,"customer":"Ada","card":"4242 4242 4242 4242"}`)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return p.orders, nil
}

// atLine is the error of a line: it names the field too, and has the hint.
func atLine(file string, number int, err error) error {
	at := &abi.Error{
		Op: "shop.orders", Kind: abi.Invalid, Resource: fmt.Sprintf("%s:%d", file, number),
		Hint: abi.HintOf(err), Err: err,
	}
	if e, ok := errors.AsType[*abi.Error](err); ok {
		at.Err = fmt.Errorf("%s: %w", e.Resource, e.Err)
	}
	return at
}

// An orderParser collects orders line by line.
type orderParser struct {
	prefix    string
	catalogue []string
	lines     map[string]int // by order ID
	orders    []Order
}

func (p *orderParser) parse(number int, line []byte) error {
	switch {
	case len(line) == 0:
		return nil
	case len(line) > maxLine:
		return badOrder("line", "it has %d bytes; at most %d are allowed", len(line), maxLine)
	}
	o, err := decodeOrder(bytes.NewReader(line))
	if err != nil {
		return err
	}
	if o.ID == "" {
		o.ID = fmt.Sprintf("%s-%06d", p.prefix, number)
	}
	if err := o.check(p.catalogue); err != nil {
		return err
	}
	if first := p.lines[o.ID]; first != 0 {
		return badOrder("id", "%q is also the order of line %d", o.ID, first).
			WithHint("give each order an ID of its own, or none")
	}
	p.lines[o.ID] = number
	p.orders = append(p.orders, o)
	return nil
}

// decodeOrder reads one order and nothing else from r, and tidies it. What is
// wrong is abi.Invalid and names the field where it can.
func decodeOrder(r io.Reader) (Order, error) {
	var o Order
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return o, badJSON(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, badOrder("JSON", "something follows the order")
	}
	return o.tidied(), nil
}

// badJSON says what is wrong in the words of somebody who writes orders.
func badJSON(err error) error {
	const hint = `an order is {"id":…,"item":…,"quantity":…,"customer":…,"card":…}, all strings but the quantity`
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return badOrder(e.Field, "a JSON %s does not fit", e.Value).WithHint(hint)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badOrder("JSON", "it ends in the middle").WithHint(hint)
	}
	return badOrder("JSON", "%s", strings.TrimPrefix(err.Error(), "json: ")).WithHint(hint)
}
