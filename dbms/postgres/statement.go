package postgres

import (
	"container/list"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A statement is one that a connection has prepared.
type statement struct {
	name     string // "" if it is parsed each time
	text     string
	declared []uint32 // the parameters' types as they were sent; 0 is inferred
	params   []uint32 // as the server understands them
	columns  []string
	types    []uint32
	formats  []int16
	element  *list.Element
	// constant statements are parsed once a connection although they are
	// never described: they are sent so often that it counts.
	constant bool
}

var (
	errEmpty = abi.Errorf("dbms.statement", abi.Invalid, "statement", "it is empty")
	errCopy  = abi.Errorf("dbms.statement", abi.Unsupported, "statement", "COPY does not work here").
			WithHint("insert rows with INSERT, many in one statement")
)

// maxStatements is how many prepared statements a connection keeps.
const maxStatements = 256

// A statementCache holds the statements of a connection, the last used first.
type statementCache struct {
	byText     map[string]*statement
	order      *list.List
	generation int64 // of the tables' definitions: see DB.generation
	names      int
	constants  map[string]string // names, by text
	fresh      []string          // texts of those that were parsed since the last Sync
}

func (sc *statementCache) reset() {
	sc.byText, sc.order = map[string]*statement{}, list.New()
}

// parse makes sure that the server knows a statement that is not prepared, and
// returns its name there.
func (c *conn) parse(s *statement) string {
	sc := &c.statements
	if !s.constant || !c.named {
		c.front.SendParse(&pgproto3.Parse{Query: s.text, ParameterOIDs: s.declared})
		return ""
	}
	name, known := sc.constants[s.text]
	if !known {
		sc.names++
		name = fmt.Sprintf("s%d", sc.names)
		c.front.SendParse(&pgproto3.Parse{Name: name, Query: s.text})
		if sc.constants == nil {
			sc.constants = map[string]string{}
		}
		sc.constants[s.text] = name
		sc.fresh = append(sc.fresh, s.text)
	}
	return name
}

// parsed is called at each Sync. After a failure it is not known which of the
// latest the server has parsed; they get another name.
func (sc *statementCache) parsed(failed bool) {
	if failed {
		for _, text := range sc.fresh {
			delete(sc.constants, text)
		}
	}
	sc.fresh = nil
}

// key tells texts with other declared types apart.
func statementKey(text string, declared []uint32) string {
	var b strings.Builder
	b.WriteString(text)
	for _, oid := range declared {
		fmt.Fprintf(&b, "\x00%d", oid)
	}
	return b.String()
}

// prepare returns the prepared statement, preparing it if need be: that costs
// a round trip, once a connection. If it fails, the open transaction is lost.
func (c *conn) prepare(text string, declared []uint32, keep bool) (*statement, error) {
	key := statementKey(text, declared)
	if s := c.statements.byText[key]; s != nil {
		c.statements.order.MoveToFront(s.element)
		return s, nil
	}
	s := &statement{text: text, declared: declared}
	if keep && c.named {
		c.statements.names++
		s.name = fmt.Sprintf("s%d", c.statements.names)
	}
	if err := c.describe(s); err != nil {
		return nil, err
	}
	if keep {
		c.remember(key, s)
	}
	return s, nil
}

func (c *conn) remember(key string, s *statement) {
	sc := &c.statements
	sc.byText[key] = s
	s.element = sc.order.PushFront(key)
	if sc.order.Len() <= maxStatements {
		return
	}
	last := sc.order.Back()
	old := sc.byText[last.Value.(string)]
	c.forget(last.Value.(string))
	if old.name != "" {
		c.front.SendClose(&pgproto3.Close{ObjectType: 'S', Name: old.name})
	}
}

func (c *conn) forget(key string) {
	if s := c.statements.byText[key]; s != nil {
		c.statements.order.Remove(s.element)
		delete(c.statements.byText, key)
	}
}

// forgetAll drops statements that were prepared for other definitions.
func (c *conn) forgetAll(generation int64) {
	for _, s := range c.statements.byText {
		if s.name != "" {
			c.front.SendClose(&pgproto3.Close{ObjectType: 'S', Name: s.name})
		}
	}
	c.statements.reset()
	c.statements.generation = generation
}

// describe parses a statement and learns its types.
func (c *conn) describe(s *statement) error {
	c.front.SendParse(&pgproto3.Parse{Name: s.name, Query: s.text, ParameterOIDs: s.declared})
	c.front.SendDescribe(&pgproto3.Describe{ObjectType: 'S', Name: s.name})
	c.front.Send(&pgproto3.Flush{})
	c.unsynced = true
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.drain(); err != nil {
		return err
	}
	for {
		m, err := c.receive()
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *pgproto3.ParameterDescription:
			s.params = append([]uint32{}, m.ParameterOIDs...)
		case *pgproto3.NoData:
			return nil
		case *pgproto3.RowDescription:
			for _, f := range m.Fields {
				s.columns = append(s.columns, string(f.Name))
				s.types = append(s.types, f.DataTypeOID)
				s.formats = append(s.formats, formatOf(f.DataTypeOID))
			}
			return nil
		}
	}
}

// decode makes a row's Values.
func (s *statement) decode(raw [][]byte) ([]dbms.Value, error) {
	if len(raw) != len(s.types) {
		return nil, abi.Errorf("dbms.query", abi.Unavailable, "result", "it has %d columns instead of %d", len(raw), len(s.types))
	}
	row := make([]dbms.Value, len(raw))
	for i, b := range raw {
		var err error
		if row[i], err = decodeValue(s.types[i], s.formats[i], b); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// encode makes the parameters of arguments.
func (s *statement) encode(values []dbms.Value, args []any) ([]param, error) {
	params := make([]param, len(values))
	for i, v := range values {
		var err error
		if params[i], err = encodeParam(s.params[i], v, args[i]); err != nil {
			return nil, err
		}
	}
	return params, nil
}
