package sqlite

import (
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A statement is one prepared SQL statement of a connection.
type statement struct {
	raw    *sqlite.Stmt
	conn   *conn
	text   string
	app    bool  // runs with an application's rights
	writes bool  // changes rows or definitions
	ddl    []ddl // the definitions it changes
	kept   bool  // in a cache of the connection
	busy   bool  // handed out
	// args maps SQLite's parameter i+1 to the argument's index: $2 is 1.
	args    []int
	count   int // of arguments
	columns []string
}

// compile prepares the query's text, which must be one statement.
func (c *conn) compile(q *dbms.Query) (*statement, error) {
	s, rest, err := c.first(q.Text(engine), q.Application)
	if err != nil {
		return nil, err
	}
	if !blank(rest) {
		s.raw.Finalize()
		return nil, abi.Errorf("sqlite.prepare", abi.Invalid, "statement", "more SQL follows the statement: %q", shorten(rest)).
			WithHint("pass one statement at a time")
	}
	return s, nil
}

// first prepares the first statement of a text under the authorizer, which
// notes what the statement will do, and returns the rest of the text.
func (c *conn) first(text string, app bool) (*statement, string, error) {
	if blank(text) {
		return nil, "", abi.Errorf("sqlite.prepare", abi.Invalid, "statement", "it is empty")
	}
	c.auth.begin(app)
	raw, trailing, err := c.raw.PrepareTransient(text)
	if err != nil {
		return nil, "", c.prepareError(text, err)
	}
	s := &statement{
		raw: raw, conn: c, text: text, app: app,
		writes: c.auth.writes, ddl: c.auth.ddl,
	}
	if err := s.parameters(); err != nil {
		raw.Finalize()
		return nil, "", err
	}
	return s, text[len(text)-trailing:], nil
}

func (c *conn) prepareError(text string, err error) error {
	if c.auth.denied != "" {
		return abi.Errorf("sqlite.prepare", abi.Denied, "statement", "%s", c.auth.denied).
			WithHint("%s", c.auth.hint)
	}
	return statementError("sqlite.prepare", text, err)
}

// parameters maps the placeholders $1, $2, … to arguments.
func (s *statement) parameters() error {
	n := s.raw.BindParamCount()
	s.args = make([]int, n)
	for i := range n {
		name := s.raw.BindParamName(i + 1)
		switch {
		case name == "" || name[0] == '?':
			s.args[i] = i
		default:
			number, err := strconv.Atoi(strings.TrimPrefix(name, "$"))
			if err != nil || number < 1 || name[0] != '$' {
				return abi.Errorf("sqlite.prepare", abi.Invalid, "placeholder "+name, "it is not a number").
					WithHint("write placeholders as $1, $2, …")
			}
			s.args[i] = number - 1
		}
		s.count = max(s.count, s.args[i]+1)
	}
	s.columns = make([]string, s.raw.ColumnCount())
	for i := range s.columns {
		s.columns[i] = s.raw.ColumnName(i)
	}
	return nil
}

// bind sets the arguments of the next run.
func (s *statement) bind(args []any) error {
	if len(args) != s.count {
		return badArgument("the statement takes %d, got %d", s.count, len(args))
	}
	for i, arg := range s.args {
		if err := s.bindOne(i+1, args[arg]); err != nil {
			return abi.Errorf("sqlite.bind", abi.Invalid, "argument $"+strconv.Itoa(arg+1), "%w", err)
		}
	}
	return nil
}

func (s *statement) bindOne(param int, arg any) error {
	switch a := arg.(type) {
	case int64:
		s.raw.BindInt64(param, a)
		return nil
	case int:
		s.raw.BindInt64(param, int64(a))
		return nil
	case string:
		s.raw.BindText(param, a)
		return nil
	}
	v, err := dbms.ToValue(arg)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case nil:
		s.raw.BindNull(param)
	case int64:
		s.raw.BindInt64(param, v)
	case float64:
		s.raw.BindFloat(param, v)
	case string:
		s.raw.BindText(param, v)
	case []byte:
		s.raw.BindBytes(param, v)
	}
	return nil
}

// step moves to the next row. The authorizer must know whose statement runs,
// because SQLite compiles it again when the schema has changed.
func (s *statement) step() (bool, error) {
	s.conn.auth.begin(s.app)
	more, err := s.raw.Step()
	if err != nil {
		return false, statementError("sqlite.step", s.text, err)
	}
	return more, nil
}

// run steps to the end and returns the number of rows changed.
func (s *statement) run() (int64, error) {
	for {
		more, err := s.step()
		if err != nil {
			return 0, err
		}
		if !more {
			break
		}
	}
	err := s.raw.Reset()
	if !s.writes {
		return 0, err
	}
	return int64(s.conn.raw.Changes()), err
}

// release hands the statement back.
func (s *statement) release() {
	if !s.busy {
		return
	}
	s.busy = false
	if s.kept {
		s.raw.Reset()
		return
	}
	s.raw.Finalize()
}

// blank reports whether SQL text holds no statement: white space, comments
// and semicolons only.
func blank(sql string) bool {
	for {
		sql = strings.TrimLeft(sql, " \t\r\n\f;")
		switch {
		case sql == "":
			return true
		case strings.HasPrefix(sql, "--"):
			_, sql, _ = strings.Cut(sql, "\n")
		case strings.HasPrefix(sql, "/*"):
			_, sql, _ = strings.Cut(sql[2:], "*/")
		default:
			return false
		}
	}
}
