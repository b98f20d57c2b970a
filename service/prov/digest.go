package prov

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// Digest is a table's content as a digest, whatever the order of its rows: two
// tables have the same one if they have the same columns and rows, each value exactly the same.
func Digest(ctx context.Context, db dbms.DB, table string) (digest string, rows int64, err error) {
	err = db.View(ctx, func(tx dbms.Tx) error {
		tables, err := db.Tables(tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if strings.EqualFold(t.Table, table) {
				digest, rows, err = digestOf(tx, t)
				return err
			}
		}
		return abi.Errorf("prov.digest", abi.NotFound, "table "+table, "there is none of that name")
	})
	return digest, rows, err
}

func digestOf(tx dbms.Tx, t dbms.Change) (string, int64, error) {
	var s sum
	err := each(tx, dbms.System("SELECT "+quoteAll(t.Columns)+" FROM "+quote(t.Table)), func(row []dbms.Value) error {
		s.add(row)
		return nil
	})
	return s.String(), s.rows, err
}

// A sum is that of the rows' hashes, modulo 2²⁵⁶: the same in any order, and not
// zero for a row that is twice.
type sum struct {
	rows  int64
	words [4]uint64
	buf   []byte
}

func (s *sum) add(row []dbms.Value) {
	s.rows++
	b := s.buf[:0]
	for _, v := range row {
		b = appendValue(b, v)
	}
	s.buf = b
	h := sha256.Sum256(b)
	var carry uint64
	for i := range s.words {
		s.words[i], carry = bits.Add64(s.words[i], binary.LittleEndian.Uint64(h[8*i:]), carry)
	}
}

// appendValue writes a value so that different ones, one after the other, are
// different bytes.
func appendValue(b []byte, v dbms.Value) []byte {
	text := func(kind byte, s string) []byte {
		b = append(b, kind)
		b = binary.AppendUvarint(b, uint64(len(s)))
		return append(b, s...)
	}
	switch x := v.(type) {
	case nil:
		return append(b, 'n')
	case int64:
		return binary.LittleEndian.AppendUint64(append(b, 'i'), uint64(x))
	case float64:
		return binary.LittleEndian.AppendUint64(append(b, 'f'), math.Float64bits(x))
	case string:
		return text('t', x)
	case []byte:
		return text('b', string(x))
	}
	return text('?', fmt.Sprint(v))
}

// String is the digest as text.
func (s *sum) String() string {
	var b [32]byte
	for i, w := range s.words {
		binary.BigEndian.PutUint64(b[8*i:], w)
	}
	return hex.EncodeToString(b[:])
}
