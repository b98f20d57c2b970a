package sqlite

import (
	"errors"

	"github.com/dbos-go/dbos/abi"
)

func (w *writer) reject(r *request, err error) {
	r.err = err
	r.done <- struct{}{}
}

// carefulFor is how many functions get savepoints after one has failed.
const carefulFor = 1000

// save is called before a function's first write. While functions fail it
// opens a savepoint, so that each can be taken back alone. While they do not,
// it saves that cost (a copy of each page that a function changes): a failure
// then takes back the whole group, and the others run again.
func (w *writer) save(t *tx) error {
	t.wrote = true
	if w.careful == 0 {
		return nil
	}
	w.careful--
	w.conn.auth.begin(false)
	if err := step(w.savepoint); err != nil {
		return sqlError("sqlite.savepoint", err)
	}
	t.saved = true
	return nil
}

// takeBack undoes what a function that failed with err has done.
func (w *writer) takeBack(r *request, err error) {
	switch t := r.tx; {
	case !t.wrote:
		w.reset(int64(t.snap))
		w.reject(r, err)
	case !t.saved:
		w.careful = carefulFor
		if e := step(w.rollback); e != nil {
			err = errors.Join(err, e)
		}
		w.rolledBack(r, err)
	default:
		w.reset(int64(t.snap))
		w.history.forget()
		if e := errors.Join(step(w.undo), step(w.release)); e != nil {
			step(w.rollback)
			w.rolledBack(r, errors.Join(err, e))
			return
		}
		w.reject(r, err)
	}
}

// rolledBack handles that SQLite has rolled back the whole group because of
// r: r fails, and the others run again.
func (w *writer) rolledBack(r *request, err error) {
	if err == nil {
		err = abi.Errorf("dbms.update", abi.Unavailable, "", "the engine rolled the transaction back")
	}
	for _, r := range w.committed {
		r.again = true
	}
	w.again = append(w.again, w.committed...)
	w.again = append(w.again, w.group[w.ran:]...)
	w.group, w.ran = w.group[:0], 0
	w.reset(w.last.Load())
	w.history.forget()
	w.committed = w.committed[:0]
	w.reject(r, err)
}
