package dbmstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// examineValues: what an argument stores is what a scan reads, in every type
// that arguments and destinations have, or an error says why not.
func examineValues(t *testing.T, e Engine) {
	d := openAsync(t, e)
	t.Run("round trip", func(t *testing.T) { examineRoundTrip(t, d, e) })
	t.Run("arguments", func(t *testing.T) { examineArguments(t, d, e) })
	t.Run("refused", func(t *testing.T) { examineRefused(t, d, e) })
	t.Run("large", func(t *testing.T) { examineLarge(t, d, e) })
	t.Run("not kept", func(t *testing.T) { examineNotKept(t, d, e) })
}

// A stored is what became of one argument: a value, or an error.
type stored struct {
	value any
	err   error
}

// store writes arguments into a column of the type, in one transaction that
// goes on after errors, and reads the values. Changes must have the same.
func (d *database) store(typ ColumnType, args ...any) []stored {
	d.t.Helper()
	d.exec("DROP TABLE IF EXISTS v")
	d.exec("CREATE TABLE v (i bigint PRIMARY KEY NOT NULL, v " + typ.Name + ")")
	before, good := d.Status().LastLSN, 0
	all := make([]stored, len(args))
	d.update(func(tx dbms.Tx) error {
		for i, arg := range args {
			all[i].err = run("INSERT INTO v VALUES ($1, $2)", i, arg)(tx)
		}
		return nil
	})
	d.view(func(tx dbms.Tx) error {
		return each(tx, dbms.SQL("SELECT i, v FROM v"), func(r dbms.Rows) error {
			var i int
			var v any
			err := r.Scan(&i, &v)
			all[i].value = v
			good++
			return err
		})
	})
	changes := d.changes(before)[0].Changes
	if len(changes) != good {
		d.t.Errorf("Changes has %d rows, the table %d", len(changes), good)
	}
	for _, c := range changes {
		i := c.Row[0].(int64)
		if encode(c.Row[1:]) != encode([]dbms.Value{all[i].value}) {
			d.t.Errorf("%T %v in a column of type %q: the table holds %T %v, Changes has %T %v",
				args[i], args[i], typ.Name, all[i].value, all[i].value, c.Row[1], c.Row[1])
		}
	}
	return all
}

// examineRoundTrip: a column of a type that does not convert the value gives
// back exactly what it was given. From others, Changes has the converted value.
func examineRoundTrip(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	for _, typ := range e.Dialect.Types {
		for i, s := range d.store(typ, typ.Values...) {
			arg := typ.Values[i]
			if s.err != nil {
				t.Errorf("%T %v in a column of type %q: %v", arg, arg, typ.Name, s.err)
			} else if v, err := dbms.ToValue(arg); err == nil && typ.Name == e.Dialect.Plain(v) && encode([]dbms.Value{s.value}) != encode([]dbms.Value{v}) {
				t.Errorf("stored %T %v, read %T %v", arg, arg, s.value, s.value)
			}
		}
	}
}

// storePlain stores an argument in a column that does not convert its value.
func (d *database) storePlain(e Engine, arg any, v dbms.Value) stored {
	d.t.Helper()
	return d.store(ColumnType{Name: e.Dialect.Plain(v)}, arg)[0]
}

type celsius float32

func examineArguments(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", -7200))
	seven, none := 7, (*int)(nil)
	for _, c := range []struct {
		arg  any
		want dbms.Value
	}{
		{true, int64(1)}, {false, int64(0)}, {int8(-8), int64(-8)}, {uint16(9), int64(9)}, {uint64(math.MaxInt64), int64(math.MaxInt64)},
		{celsius(0.5), 0.5}, {dbms.LSN(5), int64(5)}, {abi.Principal("user:ada"), "user:ada"}, {&seven, int64(7)}, {none, nil},
		{at, at.UnixMicro()}, {&at, at.UnixMicro()}, {json.RawMessage(`{"a":1}`), `{"a":1}`}, {[]byte(nil), nil}, {json.RawMessage(nil), nil},
	} {
		s := d.storePlain(e, c.arg, c.want)
		if s.err != nil || encode([]dbms.Value{s.value}) != encode([]dbms.Value{c.want}) {
			t.Errorf("%T %v is stored as %v, error %v; want %v", c.arg, c.arg, s.value, s.err, c.want)
		}
	}
	d.storePlain(e, at, at.UnixMicro())
	var back time.Time
	d.view(func(tx dbms.Tx) error {
		return each(tx, dbms.SQL("SELECT v FROM v"), func(r dbms.Rows) error { return r.Scan(&back) })
	})
	if !back.Equal(at.Truncate(time.Microsecond)) || back.Location() != time.UTC {
		t.Errorf("stored time %v, read %v", at, back)
	}
}

// examineRefused: an argument that cannot be stored is an error, and the
// transaction may go on without it.
func examineRefused(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	nan, large := math.NaN(), uint64(math.MaxInt64)+1
	args := []any{
		nan, &nan, celsius(nan), large, &large, uint64(math.MaxUint64), make(chan int), func() {}, struct{ A int }{1}, map[string]int{}, []int{1},
		complex(1, 1), time.Time{}.AddDate(-5, 0, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), [2]byte{1, 2}, 1.5,
	}
	last := len(args) - 1
	for i, s := range d.store(ColumnType{Name: e.Dialect.Plain(args[last])}, args...) {
		if i < last {
			wantKind(t, s.err, abi.Invalid, fmt.Sprintf("argument of type %T", args[i]))
		} else if s.err != nil {
			t.Errorf("a good argument after bad ones: %v", s.err)
		}
	}
	d.want(1, "SELECT count(*) FROM v")
}

func examineLarge(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	for _, arg := range []any{large, string(large)} {
		if s := d.storePlain(e, arg, arg); s.err != nil || encode([]dbms.Value{s.value}) != encode([]dbms.Value{arg}) {
			t.Errorf("1 MiB of %T does not come back: %v", arg, s.err)
		}
	}
}

// examineNotKept: what a scan has read is the caller's, and what an argument
// was made of may change afterwards.
func examineNotKept(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	d.exec("DROP TABLE IF EXISTS v")
	d.exec("CREATE TABLE v (i bigint, v " + e.Dialect.Plain([]byte{}) + ")")
	buffer := []byte("aa")
	d.update(func(tx dbms.Tx) error {
		for i := range 2 {
			buffer[0] = byte('a' + i)
			if err := run("INSERT INTO v VALUES ($1, $2)", i, buffer)(tx); err != nil {
				return err
			}
		}
		return nil
	})
	var first, second []byte
	d.view(func(tx dbms.Tx) error {
		return each(tx, dbms.SQL("SELECT v FROM v ORDER BY i"), func(r dbms.Rows) error {
			if first == nil {
				return r.Scan(&first)
			}
			return r.Scan(&second)
		})
	})
	if string(first) != "aa" || string(second) != "ba" {
		t.Errorf("read %q and %q, want aa and ba", first, second)
	}
}
