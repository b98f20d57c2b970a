package pgwire

import (
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

// The formats of values on the wire.
const (
	textFormat   = pgtype.TextFormatCode
	binaryFormat = pgtype.BinaryFormatCode
)

// A field is a column as the protocol describes it.
type field struct {
	name   string
	oid    uint32
	typmod int32
	format int16
}

// types are PostgreSQL's for DuckDB's. What is not here (lists, structs, unions,
// enums, bits, times with a zone) goes as the text that DuckDB prints.
var types = map[string]uint32{
	"BOOLEAN": pgtype.BoolOID, "TINYINT": pgtype.Int2OID, "UTINYINT": pgtype.Int2OID, "SMALLINT": pgtype.Int2OID,
	"USMALLINT": pgtype.Int4OID, "INTEGER": pgtype.Int4OID, "UINTEGER": pgtype.Int8OID, "BIGINT": pgtype.Int8OID,
	"UBIGINT": pgtype.NumericOID, "HUGEINT": pgtype.NumericOID, "UHUGEINT": pgtype.NumericOID, "BIGNUM": pgtype.NumericOID,
	"FLOAT": pgtype.Float4OID, "DOUBLE": pgtype.Float8OID, "VARCHAR": pgtype.TextOID, "BLOB": pgtype.ByteaOID,
	"DATE": pgtype.DateOID, "TIME": pgtype.TimeOID, "INTERVAL": pgtype.IntervalOID, "UUID": pgtype.UUIDOID, "JSON": pgtype.JSONOID,
	"TIMESTAMP": pgtype.TimestampOID, "TIMESTAMP_S": pgtype.TimestampOID, "TIMESTAMP_MS": pgtype.TimestampOID, "TIMESTAMP_NS": pgtype.TimestampOID,
	"TIMESTAMP WITH TIME ZONE": pgtype.TimestamptzOID, "TIMESTAMPTZ": pgtype.TimestamptzOID,
}

// arrays are the types of parameters that are lists.
var arrays = map[string]uint32{
	"BOOLEAN[]": pgtype.BoolArrayOID, "SMALLINT[]": pgtype.Int2ArrayOID, "INTEGER[]": pgtype.Int4ArrayOID, "BIGINT[]": pgtype.Int8ArrayOID,
	"DOUBLE[]": pgtype.Float8ArrayOID, "VARCHAR[]": pgtype.TextArrayOID, "UUID[]": pgtype.UUIDArrayOID,
}

// typeOf returns PostgreSQL's type for one of DuckDB's, and its modifier.
func typeOf(duck string) (oid uint32, typmod int32) {
	if oid, ok := types[duck]; ok {
		return oid, -1
	}
	if rest, ok := strings.CutPrefix(duck, "DECIMAL("); ok {
		width, scale, _ := strings.Cut(strings.TrimSuffix(rest, ")"), ",")
		w, err := strconv.Atoi(width)
		s, err2 := strconv.Atoi(scale)
		if err == nil && err2 == nil {
			return pgtype.NumericOID, int32(w<<16|s) + 4
		}
	}
	return pgtype.TextOID, -1
}

// parameterType returns the type that a client is told for a parameter; 0 for
// one that nobody knows, so that the client decides.
func parameterType(duck string) uint32 {
	if duck == "" {
		return 0
	}
	if oid, ok := arrays[duck]; ok {
		return oid
	}
	oid, _ := typeOf(duck)
	return oid
}

// fieldsOf never returns nil: a result without columns has rows all the same.
func fieldsOf(columns []Column) []field {
	fields := make([]field, len(columns))
	for i, c := range columns {
		fields[i].name = strings.ReplaceAll(c.Name, "\x00", "")
		fields[i].oid, fields[i].typmod = typeOf(c.Type)
	}
	return fields
}

// sizes are the lengths of types that have one.
var sizes = map[uint32]int16{
	pgtype.BoolOID: 1, pgtype.Int2OID: 2, pgtype.Int4OID: 4, pgtype.Int8OID: 8, pgtype.Float4OID: 4, pgtype.Float8OID: 8,
	pgtype.DateOID: 4, pgtype.TimeOID: 8, pgtype.TimestampOID: 8, pgtype.TimestamptzOID: 8, pgtype.IntervalOID: 16, pgtype.UUIDOID: 16,
}

func (f field) size() int16 {
	if n, ok := sizes[f.oid]; ok {
		return n
	}
	return -1
}
