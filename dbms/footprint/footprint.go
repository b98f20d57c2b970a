// Package footprint says what a transaction looked at: which statements of an
// application it ran, with their arguments and how many rows they gave, and
// which keys a service read. It is recorded as the transaction's note
// (dbms.Tx.Record), so that it costs no row of its own, cannot be lost when the
// transaction is kept, and is not there when it is not.
//
// The rows that a statement returned are not recorded: they are what the
// statement returns on the state that the transaction saw.
package footprint

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strconv"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

const (
	// MaxArg is the longest argument that is recorded, in bytes. Of a longer
	// one the SHA-256 stands in its place, and the statement is Cut.
	MaxArg = 64 << 10
	// MaxSize is about the size of an encoded footprint, in bytes. What does
	// not fit is left out, and the footprint is Truncated.
	MaxSize = 512 << 10
)

// A Footprint is what one transaction looked at, in order.
type Footprint struct {
	Statements []Statement
	Reads      []Read
	// Truncated says that there was more than is recorded.
	Truncated bool
}

// A Statement is one that an application ran.
type Statement struct {
	Text int64 // TextID of its SQL
	Args []dbms.Value
	Rows int64 // that it returned, or changed
	// Writes says that Rows are changed ones.
	Writes bool
	// Cut says that an argument was too long and is not itself recorded.
	Cut bool
}

// A Read is a row that a service looked up by its key.
type Read struct {
	Table string
	Key   []dbms.Value
}

// TextID is the number under which a statement's text is kept: the first 63
// bits of its SHA-256, so that all processes have the same.
func TextID(sql string) int64 {
	sum := sha256.Sum256([]byte(sql))
	return int64(binary.BigEndian.Uint64(sum[:8]) >> 1)
}

// Empty reports whether there is nothing to record.
func (f *Footprint) Empty() bool {
	return len(f.Statements) == 0 && len(f.Reads) == 0 && !f.Truncated
}

// Encode returns the footprint as a note, which Decode reads; nil if it is
// empty. It is JSON:
//
//	{"s": [[text, rows, flags, [argument, …]], …], "r": [["table", [key, …]], …], "t": true}
//
// with values as dbms.MarshalValues writes them; of flags 1 is Writes, 2 Cut.
func (f *Footprint) Encode() []byte {
	if f.Empty() {
		return nil
	}
	truncated := f.Truncated
	b := append(make([]byte, 0, 64+48*len(f.Statements)), `{"s":[`...)
	for i, s := range f.Statements {
		if len(b) > MaxSize {
			truncated = true
			break
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = s.append(b)
	}
	b = append(b, ']')
	if len(f.Reads) > 0 {
		b = append(b, `,"r":[`...)
		for i, r := range f.Reads {
			if len(b) > MaxSize {
				truncated = true
				break
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = dbms.AppendValue(append(b, '['), r.Table)
			b = append(append(append(b, ','), dbms.MarshalValues(r.Key)...), ']')
		}
		b = append(b, ']')
	}
	if truncated {
		b = append(b, `,"t":true`...)
	}
	return append(b, '}')
}

const (
	flagWrites = 1 << iota
	flagCut
)

func (s *Statement) append(b []byte) []byte {
	flags := int64(0)
	if s.Writes {
		flags |= flagWrites
	}
	args := make([]byte, 0, 64)
	cut := s.Cut
	for i, v := range s.Args {
		if i > 0 {
			args = append(args, ',')
		}
		if short, ok := digest(v); ok {
			v, cut = short, true
		}
		args = dbms.AppendValue(args, v)
	}
	if cut {
		flags |= flagCut
	}
	b = strconv.AppendInt(append(b, '['), s.Text, 10)
	b = strconv.AppendInt(append(b, ','), s.Rows, 10)
	b = strconv.AppendInt(append(b, ','), flags, 10)
	return append(append(append(b, ",["...), args...), "]]"...)
}

// digest returns what stands for a value that is too long.
func digest(v dbms.Value) (dbms.Value, bool) {
	var sum [sha256.Size]byte
	switch x := v.(type) {
	case string:
		if len(x) <= MaxArg {
			return nil, false
		}
		sum = sha256.Sum256([]byte(x))
	case []byte:
		if len(x) <= MaxArg {
			return nil, false
		}
		sum = sha256.Sum256(x)
	default:
		return nil, false
	}
	return sum[:], true
}

// Decode reads what Encode has written. A note of nil is an empty footprint;
// one that is something else is of kind abi.Corrupt.
func Decode(note []byte) (Footprint, error) {
	var f Footprint
	if note == nil {
		return f, nil
	}
	var in struct {
		S [][4]json.RawMessage
		R [][2]json.RawMessage
		T bool
	}
	if err := json.Unmarshal(note, &in); err != nil {
		return f, corrupt(err)
	}
	f.Truncated = in.T
	for _, raw := range in.S {
		var s Statement
		var flags int64
		for i, dest := range []*int64{&s.Text, &s.Rows, &flags} {
			if err := json.Unmarshal(raw[i], dest); err != nil {
				return f, corrupt(err)
			}
		}
		var err error
		if s.Args, err = dbms.UnmarshalValues(raw[3]); err != nil {
			return f, corrupt(err)
		}
		s.Writes, s.Cut = flags&flagWrites != 0, flags&flagCut != 0
		f.Statements = append(f.Statements, s)
	}
	for _, raw := range in.R {
		var r Read
		if err := json.Unmarshal(raw[0], &r.Table); err != nil {
			return f, corrupt(err)
		}
		var err error
		if r.Key, err = dbms.UnmarshalValues(raw[1]); err != nil {
			return f, corrupt(err)
		}
		f.Reads = append(f.Reads, r)
	}
	return f, nil
}

func corrupt(err error) error {
	return abi.Errorf("footprint.decode", abi.Corrupt, "note", "%w", err)
}
