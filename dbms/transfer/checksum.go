package transfer

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/dbos-go/dbos/dbms"
)

// A Checksum is of a set of rows, in whatever order they come: the sum of
// the rows' SHA-256, modulo 2²⁵⁶ in words of 64 bits.
type Checksum struct {
	Rows int64
	sum  [4]uint64
	hash hash.Hash
}

// add adds a row of a table.
func (c *Checksum) add(t *table, row []dbms.Value) {
	if c.hash == nil {
		c.hash = sha256.New()
	}
	c.hash.Reset()
	var length [8]byte
	for i, v := range row {
		s := canonical(v, &t.columns[i])
		binary.LittleEndian.PutUint64(length[:], uint64(len(s)))
		c.hash.Write(length[:])
		c.hash.Write([]byte(s))
	}
	digest := c.hash.Sum(nil)
	for i := range c.sum {
		c.sum[i] += binary.LittleEndian.Uint64(digest[8*i:])
	}
	c.Rows++
}

// String returns the checksum's first 64 bits.
func (c *Checksum) String() string { return fmt.Sprintf("%016x", c.sum[0]) }

// equal reports whether two sets of rows are the same.
func (c *Checksum) equal(other *Checksum) bool { return c.Rows == other.Rows && c.sum == other.sum }
