package postgres

import (
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dbos-go/dbos/dbms"
)

// An event is one change of a transaction, before it has a number.
type event struct {
	table *definition // in force when it happened
	op    dbms.Op
	row   []dbms.Value
	key   []dbms.Value
	// before and after are the versions of the row, by their place in the
	// table, if a trigger has recorded the change.
	before, after string
	n             int64 // the trigger's number
}

// change makes the Change that readers get.
func (e event) change(lsn dbms.LSN) dbms.Change {
	d := e.table
	c := dbms.Change{LSN: lsn, Table: d.table, Op: e.op, Row: e.row, Key: e.key}
	if e.op != dbms.Drop {
		c.Columns, c.KeyColumns = d.columns, d.key
	}
	if e.op == dbms.Define {
		c.Schema, c.Renamed = d.sql, d.renamed
	}
	return c
}

// decodeColumn makes a value of its text.
func decodeColumn(oid uint32, raw []byte) (dbms.Value, error) {
	if oid == pgtype.Float4OID && raw != nil {
		f, err := strconv.ParseFloat(string(raw), 32)
		return f, err
	}
	return decodeValue(oid, textFormat, raw)
}

// keyText tells keys apart.
func keyText(key []dbms.Value) string {
	var b strings.Builder
	for _, v := range key {
		switch v := v.(type) {
		case int64:
			b.WriteString("i" + strconv.FormatInt(v, 10))
		case float64:
			b.WriteString("f" + strconv.FormatFloat(v, 'b', -1, 64))
		case string:
			b.WriteString("t" + strconv.Itoa(len(v)) + ":" + v)
		case []byte:
			b.WriteString("b" + strconv.Itoa(len(v)) + ":" + string(v))
		default:
			b.WriteByte('n')
		}
	}
	return b.String()
}
