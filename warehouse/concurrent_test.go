//go:build cgo

package warehouse_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/warehouse"
)

// TestQueriesWhileSpooling asks for what never changes while everything else does: money
// goes from account to account, columns come, segments are sealed.
func TestQueriesWhileSpooling(t *testing.T) {
	f := newFeed("sqlite")
	of := define("account", "id|INTEGER", "balance|INTEGER")
	f.commit(of, put(of, dbms.Insert, int64(0), int64(500)), put(of, dbms.Insert, int64(1), int64(500)))
	w := openAt(t, t.TempDir(), warehouse.Options{Retention: -1})
	spool(t, w, f)
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				list, err := tryAsk(t.Context(), w, 0, "SELECT sum(balance), count(*) FROM account")
				if err != nil || fmt.Sprint(list) != "[1000 2]" {
					t.Errorf("question %d: %q, %v", n, list, err)
					return
				}
			}
		})
	}
	for n := range 30 {
		if n%10 == 5 {
			of.Columns, of.Types = append(of.Columns[:len(of.Columns):len(of.Columns)], fmt.Sprintf("c%d", n)), append(of.Types[:len(of.Types):len(of.Types)], "TEXT")
			f.commit(of)
		}
		rows := [2][]dbms.Value{make([]dbms.Value, len(of.Columns)), make([]dbms.Value, len(of.Columns))}
		for i := range rows {
			rows[i][0], rows[i][1] = int64(i), int64(500+n*(1-2*i))
		}
		f.commit(put(of, dbms.Update, rows[0]...), put(of, dbms.Update, rows[1]...))
		spool(t, w, f)
		if n%10 == 0 {
			if err := w.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(done)
	asking.Wait()
	expect(t, "in the end", ask(t, w, 0, "SELECT balance FROM account ORDER BY id"), "529", "471")
}
