package postgres

import (
	"regexp"
	"strconv"
	"strings"
	"time"

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
		c.Types, c.Defaults = d.shape.types(), d.defaults
	}
	return c
}

// decodeColumn makes a value of its text, the same that a query gives.
func decodeColumn(oid uint32, raw []byte) (dbms.Value, error) {
	switch {
	case raw == nil:
		return nil, nil
	case oid == pgtype.Float4OID:
		f, err := strconv.ParseFloat(string(raw), 32)
		return f, err
	case oid == pgtype.TimestamptzOID:
		if at, ok := parseTimestamp(string(raw)); ok {
			return at, nil
		}
		return string(raw), nil // infinity
	}
	return decodeValue(oid, textFormat, raw)
}

// timestampPattern is what the server writes in ISO style in UTC. Years may
// have more digits than time.Parse takes, and be before Christ.
var timestampPattern = regexp.MustCompile(`^(\d+)-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\+00( BC)?$`)

func parseTimestamp(text string) (int64, bool) {
	found := timestampPattern.FindStringSubmatch(text)
	if found == nil {
		return 0, false
	}
	var n [8]int
	for i := 1; i <= 6; i++ {
		n[i], _ = strconv.Atoi(found[i])
	}
	if found[7] != "" {
		n[7], _ = strconv.Atoi((found[7] + "00000")[:6])
	}
	if found[8] != "" {
		n[1] = 1 - n[1]
	}
	at := time.Date(n[1], time.Month(n[2]), n[3], n[4], n[5], n[6], 0, time.UTC).Unix()
	return at*1_000_000 + int64(n[7]), true
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
