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

// store writes an argument into a column of the type and reads the value.
func (d *database) store(typ ColumnType, arg any) (v any, err error) {
	d.t.Helper()
	lsn := d.Status().LastLSN
	d.exec("DROP TABLE IF EXISTS v")
	d.exec("CREATE TABLE v (v " + typ.Name + ")")
	if _, err := d.try("INSERT INTO v VALUES ($1)", arg); err != nil {
		return nil, err
	}
	d.view(func(tx dbms.Tx) error {
		return each(tx, dbms.SQL("SELECT v FROM v"), func(r dbms.Rows) error { return r.Scan(&v) })
	})
	commits := d.changes(lsn)
	last := commits[len(commits)-1]
	if len(last.Changes) != 1 || encode(last.Changes[0].Row) != encode([]dbms.Value{v}) {
		d.t.Errorf("%T %v in a column of type %q: the table holds %s, Changes has %+v", arg, arg, typ.Name, encode([]dbms.Value{v}), last.Changes)
	}
	return v, nil
}

// examineRoundTrip: a column of a type without conversions, the last of the
// dialect, gives back exactly what it was given.
func examineRoundTrip(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	types := e.Dialect.Types
	for _, arg := range types[len(types)-1].Values {
		v, err := d.store(types[len(types)-1], arg)
		if err != nil {
			t.Errorf("%T %v: %v", arg, arg, err)
		} else if encode([]dbms.Value{v}) != encode([]dbms.Value{arg}) {
			t.Errorf("stored %T %v, read %T %v", arg, arg, v, v)
		}
	}
	for _, typ := range types { // with conversions, Changes must have the converted value
		for _, arg := range typ.Values {
			if _, err := d.store(typ, arg); err != nil {
				t.Errorf("%T %v in a column of type %q: %v", arg, arg, typ.Name, err)
			}
		}
	}
}

type celsius float32

func examineArguments(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	plain := e.Dialect.Types[len(e.Dialect.Types)-1]
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
		v, err := d.store(plain, c.arg)
		if err != nil || encode([]dbms.Value{v}) != encode([]dbms.Value{c.want}) {
			t.Errorf("%T %v is stored as %v, error %v; want %v", c.arg, c.arg, v, err, c.want)
		}
	}
	d.store(plain, at)
	var back time.Time
	d.view(func(tx dbms.Tx) error {
		return each(tx, dbms.SQL("SELECT v FROM v"), func(r dbms.Rows) error { return r.Scan(&back) })
	})
	if !back.Equal(at.Truncate(time.Microsecond)) || back.Location() != time.UTC {
		t.Errorf("stored time %v, read %v", at, back)
	}
}

func examineRefused(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	plain := e.Dialect.Types[len(e.Dialect.Types)-1]
	nan, large := math.NaN(), uint64(math.MaxInt64)+1
	for _, arg := range []any{
		nan, &nan, celsius(nan), large, &large, uint64(math.MaxUint64), make(chan int), func() {}, struct{ A int }{1}, map[string]int{}, []int{1},
		complex(1, 1), time.Time{}.AddDate(-5, 0, 0), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), [2]byte{1, 2},
	} {
		_, err := d.store(plain, arg)
		wantKind(t, err, abi.Invalid, fmt.Sprintf("argument of type %T", arg))
	}
	// The transaction may go on.
	d.update(func(tx dbms.Tx) error {
		if run("INSERT INTO v VALUES ($1)", math.NaN())(tx) == nil {
			t.Error("NaN was stored")
		}
		return run("INSERT INTO v VALUES ($1)", 1.5)(tx)
	})
	d.want(1, "SELECT count(*) FROM v")
}

func examineLarge(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	plain := e.Dialect.Types[len(e.Dialect.Types)-1]
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	for _, arg := range []any{large, string(large)} {
		if v, err := d.store(plain, arg); err != nil || encode([]dbms.Value{v}) != encode([]dbms.Value{arg}) {
			t.Errorf("1 MiB of %T does not come back: %v", arg, err)
		}
	}
}

// examineNotKept: what a scan has read is the caller's, and what an argument
// was made of may change afterwards.
func examineNotKept(t *testing.T, d *database, e Engine) {
	d = &database{DB: d.DB, t: t}
	d.exec("DROP TABLE IF EXISTS v")
	d.exec("CREATE TABLE v (i bigint, v " + e.Dialect.Types[len(e.Dialect.Types)-1].Name + ")")
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
