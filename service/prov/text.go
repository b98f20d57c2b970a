package prov

import (
	"sync"

	"github.com/dbos-go/dbos/dbms"
)

// maxTexts bounds how many texts a process remembers to have written. A
// program that makes up statements without end writes them more than once,
// which the table ignores.
const maxTexts = 10_000

// texts are those that are known to be in the table.
type texts struct {
	mu    sync.RWMutex
	known map[int64]struct{}
}

func (t *texts) has(id int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, ok := t.known[id]
	return ok
}

func (t *texts) add(ids []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil || len(t.known)+len(ids) > maxTexts {
		t.known = map[int64]struct{}{}
	}
	for _, id := range ids {
		t.known[id] = struct{}{}
	}
}

// Texts are the statements' texts of one try of one transaction, so that each
// text is written with the first commit that names it, and nothing is done for
// one that is known. The zero Texts is not usable: see Service.Texts.
type Texts struct {
	s   *Service
	new []int64
}

// Texts returns the texts of a transaction that begins.
func (s *Service) Texts() Texts { return Texts{s: s} }

// Remember writes a statement's text in the transaction, unless it is known to
// be written. id is its footprint.TextID.
func (t *Texts) Remember(tx dbms.Tx, id int64, text string) error {
	if t.s.texts.has(id) {
		return nil
	}
	for _, n := range t.new {
		if n == id {
			return nil
		}
	}
	if _, err := tx.Exec(t.s.q.TextInsert, id, text); err != nil {
		return err
	}
	t.new = append(t.new, id)
	return nil
}

// Committed says that the transaction has been committed: what it wrote is
// known from now on.
func (t *Texts) Committed() {
	if len(t.new) > 0 {
		t.s.texts.add(t.new)
	}
}
