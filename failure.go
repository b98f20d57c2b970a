package dbos

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"
	"sync"

	"github.com/dbos-go/dbos/abi"
)

// A Failure is an error as it is stored in a journal and read back. It has
// the original's text, and through it errors.Is and errors.As find what the
// original's chain had of registered errors (RegisterError) and of abi.Kinds.
// The standard errors of context, io, io/fs and os need no registration.
type Failure struct {
	Message string          `json:"message"`
	Kind    abi.Kind        `json:"kind,omitempty"`
	Hint    string          `json:"hint,omitempty"`
	Name    string          `json:"name,omitempty"` // as registered
	Data    json.RawMessage `json:"data,omitempty"` // of a registered type
	Causes  []*Failure      `json:"causes,omitempty"`

	value error // the registered error, read back
}

// Error returns the original error's text.
func (f *Failure) Error() string { return f.Message }

// Is reports whether target is the failure's Kind.
func (f *Failure) Is(target error) bool {
	k, ok := target.(abi.Kind)
	return ok && k == f.Kind && k != abi.Other
}

// As makes errors.As find an *abi.Error in a failure that was one.
func (f *Failure) As(target any) bool {
	e, ok := target.(**abi.Error)
	if !ok || f.Kind == abi.Other {
		return false
	}
	*e = &abi.Error{Kind: f.Kind, Hint: f.Hint, Err: errors.New(f.Message)}
	return true
}

// Unwrap returns the registered error, if any, and the causes.
func (f *Failure) Unwrap() []error {
	var list []error
	if f.value != nil {
		list = append(list, f.value)
	}
	for _, c := range f.Causes {
		list = append(list, c)
	}
	return list
}

// RegisterError makes an error keep its identity when it is stored. target is
// either a sentinel, found again by errors.Is, or a value of an error type
// (a struct or a pointer to one) whose exported fields are stored as JSON,
// found again by errors.As. Register under a name that never changes, before
// Launch.
func RegisterError(s *System, name string, target error) error {
	if err := abi.CheckName("dbos.registererror", "error", name); err != nil {
		return err
	}
	return s.errors.add(name, target)
}

// An errorRegistry knows the errors that keep their identity.
type errorRegistry struct {
	mu        sync.RWMutex
	sentinels map[error]string
	byName    map[string]error
	types     map[reflect.Type]string
	typeNamed map[string]reflect.Type
}

func newErrorRegistry() *errorRegistry {
	r := &errorRegistry{
		sentinels: map[error]string{}, byName: map[string]error{},
		types: map[reflect.Type]string{}, typeNamed: map[string]reflect.Type{},
	}
	for name, err := range map[string]error{
		"context.Canceled": context.Canceled, "context.DeadlineExceeded": context.DeadlineExceeded,
		"io.EOF": io.EOF, "io.ErrUnexpectedEOF": io.ErrUnexpectedEOF,
		"fs.ErrNotExist": fs.ErrNotExist, "fs.ErrExist": fs.ErrExist, "fs.ErrPermission": fs.ErrPermission,
		"os.ErrDeadlineExceeded": os.ErrDeadlineExceeded,
	} {
		r.sentinels[err], r.byName[name] = name, err
	}
	return r
}

// add registers a sentinel or an error type. A type with exported fields is
// one whose values differ; anything else is a sentinel.
func (r *errorRegistry) add(name string, target error) error {
	if target == nil {
		return abi.Errorf("dbos.registererror", abi.Invalid, "error "+name, "it is nil")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName[name] != nil || r.typeNamed[name] != nil {
		return abi.Errorf("dbos.registererror", abi.Exists, "error "+name, "the name is taken")
	}
	if t := reflect.TypeOf(target); hasFields(t) {
		r.types[t], r.typeNamed[name] = name, t
		return nil
	}
	if !reflect.TypeOf(target).Comparable() {
		return abi.Errorf("dbos.registererror", abi.Invalid, "error "+name, "%T cannot be compared", target).
			WithHint("register a pointer or a comparable value")
	}
	r.sentinels[target], r.byName[name] = name, target
	return nil
}

func hasFields(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			return true
		}
	}
	return false
}

// maxChain bounds how deep a chain of errors is stored.
const maxChain = 32

// failure returns the stored form of an error.
func (r *errorRegistry) failure(err error, depth int) *Failure {
	if f, ok := err.(*Failure); ok {
		return f
	}
	f := &Failure{Message: err.Error()}
	if e, ok := err.(*abi.Error); ok {
		f.Kind, f.Hint = e.Kind, e.Hint
	}
	r.identify(f, err)
	if depth >= maxChain {
		return f
	}
	var causes []error
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		causes = []error{u.Unwrap()}
	case interface{ Unwrap() []error }:
		causes = u.Unwrap()
	}
	for _, c := range causes {
		if c == nil {
			continue
		}
		// What has no identity adds nothing to the text above it.
		if cf := r.failure(c, depth+1); cf.identity() {
			f.Causes = append(f.Causes, cf)
		}
	}
	return f
}

func (f *Failure) identity() bool {
	return f.Name != "" || f.Kind != abi.Other || len(f.Causes) > 0
}

// identify names a registered error.
func (r *errorRegistry) identify(f *Failure, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := reflect.TypeOf(err)
	if name, ok := r.types[t]; ok {
		if data, e := json.Marshal(err); e == nil {
			f.Name, f.Data, f.value = name, data, err
		}
		return
	}
	if !t.Comparable() {
		return
	}
	if name, ok := r.sentinels[err]; ok {
		f.Name, f.value = name, err
	}
}

// store returns the JSON text of an error.
func (r *errorRegistry) store(err error) string {
	text, e := json.Marshal(r.failure(err, 0))
	if e != nil { // only if registered Data is no JSON, which json.Marshal excludes
		text, _ = json.Marshal(&Failure{Message: err.Error()})
	}
	return string(text)
}

// load reads the JSON text of an error back.
func (r *errorRegistry) load(text string) *Failure {
	f := &Failure{}
	if err := json.Unmarshal([]byte(text), f); err != nil {
		return &Failure{Message: "unreadable error: " + text, Kind: abi.Corrupt}
	}
	r.revive(f)
	return f
}

// revive sets the values of registered errors.
func (r *errorRegistry) revive(f *Failure) {
	r.mu.RLock()
	sentinel, t := r.byName[f.Name], r.typeNamed[f.Name]
	r.mu.RUnlock()
	switch {
	case sentinel != nil:
		f.value = sentinel
	case t != nil:
		f.value = reviveType(t, f.Data)
	}
	for _, c := range f.Causes {
		r.revive(c)
	}
}

func reviveType(t reflect.Type, data []byte) error {
	elem := t
	if t.Kind() == reflect.Pointer {
		elem = t.Elem()
	}
	p := reflect.New(elem)
	if err := json.Unmarshal(data, p.Interface()); err != nil {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		return p.Interface().(error)
	}
	return p.Elem().Interface().(error)
}
