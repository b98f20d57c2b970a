package dbmstest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

var (
	errTakeBack = errors.New("the script takes itself back")
	errRefused  = errors.New("the engine refuses what the script is about")
)

// examineCases runs each of the dialect's scripts and compares the tables
// with Changes after each transaction.
func examineCases(t *testing.T, e Engine) {
	for _, c := range e.Dialect.Cases {
		t.Run(c.Name, func(t *testing.T) {
			d := openAsync(t, e)
			r := newReplica(e)
			for _, script := range c.Transactions {
				_, err := d.Update(t.Context(), examiner, play(script))
				if err == errRefused {
					break
				}
				if err != nil && err != errTakeBack {
					t.Fatal(err)
				}
				for _, commit := range d.changes(r.lsn) {
					if err := r.apply(commit); err != nil {
						t.Fatal(err)
					}
				}
				d.compare(r)
			}
		})
	}
}

// play runs a script's statements.
func play(script []string) func(dbms.Tx) error {
	return func(tx dbms.Tx) error {
		for _, sql := range script {
			if sql == "ROLLBACK" {
				return errTakeBack
			}
			if text, maybe := strings.CutPrefix(sql, "~"); maybe {
				if err := tryFollowed(tx, text); err != nil {
					return err
				}
				continue
			}
			text, fails := strings.CutPrefix(sql, "?")
			if err := run(text)(tx); (err != nil) != fails {
				return fmt.Errorf("%s: error %v, expected: %v", text, err, fails)
			}
		}
		return nil
	}
}

// tryFollowed runs a statement that the engine may refuse, if it says so and
// what to do instead.
func tryFollowed(tx dbms.Tx, sql string) error {
	err := run(sql)(tx)
	kind := abi.KindOf(err)
	switch {
	case err == nil:
		return nil
	case (kind == abi.Denied || kind == abi.Unsupported) && abi.HintOf(err) != "":
		return errRefused
	}
	return fmt.Errorf("%s: error %w of kind %q, hint %q; want it to work, or to be refused with a hint", sql, err, kind, abi.HintOf(err))
}

// compare compares the replica with the live tables that it knows, and with
// the engine's list of tables.
func (d *database) compare(r *replica) {
	d.t.Helper()
	columns := map[string][]string{}
	for name, t := range r.tables {
		columns[name] = t.columns
	}
	d.view(func(tx dbms.Tx) error {
		live, err := readImage(tx, columns)
		if err != nil {
			return err
		}
		if lsn := tx.LSN(); lsn != r.lsn {
			d.t.Errorf("Changes ends with LSN %d, the database is at %d", r.lsn, lsn)
		}
		if found := difference(live, r.image()); found != "" {
			d.t.Errorf("as of LSN %d: %s", r.lsn, found)
		}
		return nil
	})
}
