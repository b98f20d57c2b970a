package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

// An arranged table makes events as row triggers record them, and knows what
// came of them.
type arrangedTable struct {
	rows map[string]string // version by key
	next int
}

func (a *arrangedTable) version() string {
	a.next++
	return fmt.Sprintf("(0,%d)", a.next)
}

func keyOf(k int) []dbms.Value { return []dbms.Value{int64(k)} }

// TestArrange shuffles recorded changes in the way in which nested triggers
// do, and puts them back in order: applied one after the other they never
// meet a row that is there already or is not, and end as the table did.
func TestArrange(t *testing.T) {
	table := &definition{table: "t"}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(7, seed))
		a := &arrangedTable{rows: map[string]string{}}
		before := map[string]string{}
		for k := range 4 {
			if random.IntN(2) == 0 {
				before[keyText(keyOf(k))] = a.version()
			}
		}
		for k, v := range before {
			a.rows[k] = v
		}
		var events []event
		for range 1 + random.IntN(10) {
			events = append(events, a.change(random, table)...)
		}
		// A trigger's event moves behind those of the statements that it
		// runs: any later one may come before it.
		for i := range events {
			events[i].table = table
			if random.IntN(3) == 0 && i > 0 {
				j := random.IntN(i)
				events[i], events[j] = events[j], events[i]
			}
		}
		shuffled := fmt.Sprint(describe(events))
		arrange(events)
		if err := apply(before, a.rows, events); err != nil {
			t.Fatalf("seed %d: %v\nrecorded %s\narranged %s", seed, err, shuffled, describe(events))
		}
	}
}

func describe(events []event) []string {
	var list []string
	for _, e := range events {
		list = append(list, fmt.Sprint(e.op, e.key, e.before, ">", e.after))
	}
	return list
}

// change makes one change of a row as the table's trigger records it.
func (a *arrangedTable) change(random *rand.Rand, table *definition) []event {
	k := random.IntN(4)
	key := keyOf(k)
	old := a.rows[keyText(key)]
	if old == "" {
		v := a.version()
		a.rows[keyText(key)] = v
		return []event{{table: table, op: dbms.Insert, key: key, after: v}}
	}
	switch random.IntN(3) {
	case 0:
		delete(a.rows, keyText(key))
		return []event{{table: table, op: dbms.Delete, key: key, before: old}}
	case 1:
		to := keyOf(random.IntN(4))
		if a.rows[keyText(to)] != "" {
			break
		}
		v := a.version()
		delete(a.rows, keyText(key))
		a.rows[keyText(to)] = v
		return []event{{table: table, op: dbms.Delete, key: key, before: old}, {table: table, op: dbms.Insert, key: to, before: old, after: v}}
	}
	v := a.version()
	a.rows[keyText(key)] = v
	return []event{{table: table, op: dbms.Update, key: key, before: old, after: v}}
}

func apply(before, want map[string]string, events []event) error {
	rows := map[string]string{}
	for k, v := range before {
		rows[k] = v
	}
	for _, e := range events {
		key := keyText(e.key)
		switch has := rows[key]; {
		case e.op == dbms.Insert && has != "":
			return fmt.Errorf("%v is inserted and there", e.key)
		case e.op != dbms.Insert && has != e.before:
			return fmt.Errorf("%s of %v begins with %s, the row is %s", e.op, e.key, e.before, has)
		}
		if e.op == dbms.Delete {
			delete(rows, key)
		} else {
			rows[key] = e.after
		}
	}
	if fmt.Sprint(rows) != fmt.Sprint(want) {
		return fmt.Errorf("the rows are %v, want %v", rows, want)
	}
	return nil
}
