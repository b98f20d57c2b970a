package pgwire

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
)

const protocolViolation = "08P01"

// A sqlError is one whose SQLSTATE is known here.
type sqlError struct {
	code string
	err  error
}

func (e *sqlError) Error() string { return e.err.Error() }
func (e *sqlError) Unwrap() error { return e.err }

func failure(code, format string, args ...any) error {
	return &sqlError{code, fmt.Errorf(format, args...)}
}

// refuse says why a statement that does not read is not run.
func refuse(st *statement) error {
	verb := cmp.Or(st.hidden(), st.verb)
	for _, writes := range writing {
		if verb == writes {
			return &sqlError{"25006", abi.Errorf("", abi.Denied, "", "cannot execute %s: this endpoint only reads", strings.ToUpper(verb)).
				WithHint("programs change tables through the SDK, and people with dbos sql --write")}
		}
	}
	return failure("42601", "syntax error at or near %q", st.tokens[0].text)
}

// sendError tells the client what failed. The statement, if there is one, is
// where positions are counted.
func (s *session) sendError(err error, severity string, st *statement) {
	msg := &pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: stateOf(err), Message: err.Error(), Hint: abi.HintOf(err),
	}
	if e, ok := errors.AsType[*abi.Error](err); ok && e.Err != nil {
		// The operation is for programs that use the SDK.
		msg.Message = strings.TrimPrefix((&abi.Error{Resource: e.Resource, Err: e.Err}).Error(), "statement: ")
		if e.Resource == "" && e.Op == "" {
			msg.Message = e.Err.Error()
		}
	}
	if at := duckError(msg.Message); at >= 0 {
		d := readDuck(msg.Message[at:])
		msg.Message, msg.Detail = d.message, d.detail
		if msg.Hint == "" {
			msg.Hint = d.hint
		}
		if st != nil && !st.rewritten && !namesCatalog(st.tokens) {
			msg.Position = d.position(st)
		}
	}
	msg.Message = clean(msg.Message)
	msg.Detail, msg.Hint = clean(msg.Detail), clean(msg.Hint)
	s.wire.Send(msg)
}

// clean returns a text that a message can hold.
func clean(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�")
}

// stateOf returns the SQLSTATE of an error.
func stateOf(err error) string {
	if e, ok := errors.AsType[*sqlError](err); ok {
		return e.code
	}
	switch err {
	case errCanceled, errTooLong, errGone:
		return "57014"
	case errShutdown:
		return "57P01"
	}
	text := err.Error()
	if at := duckError(text); at >= 0 {
		return duckState(text[at:])
	}
	if state, ok := kinds[abi.KindOf(err)]; ok {
		return state
	}
	return "XX000"
}

// kinds are the SQLSTATEs of errors that are not DuckDB's.
var kinds = map[abi.Kind]string{
	abi.Invalid: "22023", abi.NotFound: "42704", abi.Trimmed: "22008", abi.Denied: "25006", abi.Unsupported: "0A000",
	abi.Exhausted: "54000", abi.Timeout: "57014", abi.Canceled: "57014", abi.Unavailable: "57P03", abi.Closed: "57P01",
	abi.Owned: "55006", abi.Conflict: "40001",
}

// duckStates are the SQLSTATEs of DuckDB's kinds of errors.
var duckStates = []struct{ prefix, within, state string }{
	{"Parser Error: ", "", "42601"},
	{"Syntax Error: ", "", "42601"},
	{"Catalog Error: ", "Table with name", "42P01"},
	{"Catalog Error: ", "Function with name", "42883"},
	{"Catalog Error: ", "Type with name", "42704"},
	{"Catalog Error: ", "Schema with name", "3F000"},
	{"Catalog Error: ", "unrecognized configuration", "42704"},
	{"Catalog Error: ", "", "42704"},
	{"Binder Error: ", "Ambiguous", "42702"},
	{"Binder Error: ", "Referenced column", "42703"},
	{"Binder Error: ", "does not have a column named", "42703"},
	{"Binder Error: ", "Referenced table", "42P01"},
	{"Binder Error: ", "No function matches", "42883"},
	{"Binder Error: ", "Could not choose a best candidate", "42725"},
	{"Binder Error: ", "GROUP BY", "42803"},
	{"Binder Error: ", "Cannot compare", "42804"},
	{"Binder Error: ", "", "42P10"},
	{"Conversion Error: ", "out of range", "22003"},
	{"Conversion Error: ", "timestamp", "22007"},
	{"Conversion Error: ", "", "22P02"},
	{"Mismatch Type Error: ", "", "42804"},
	{"Out of Range Error: ", "", "22003"},
	{"Invalid Input Error: ", "", "22023"},
	{"Invalid Error: ", "", "22023"},
	{"Invalid type Error: ", "", "42804"},
	{"Parameter Not Resolved Error: ", "", "42P18"},
	{"Parameter Not Allowed Error: ", "", "42P02"},
	{"Constraint Error: ", "", "23000"},
	{"Permission Error: ", "", "42501"},
	{"Not implemented Error: ", "", "0A000"},
	{"Out of Memory Error: ", "", "53200"},
	{"INTERRUPT Error: ", "", "57014"},
	{"TransactionContext Error: ", "", "25000"},
	{"IO Error: ", "", "58030"},
	{"Dependency Error: ", "", "2BP01"},
	{"INTERNAL Error: ", "", "XX000"},
	{"FATAL Error: ", "", "XX000"},
}

func duckState(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	for _, d := range duckStates {
		if strings.HasPrefix(first, d.prefix) && strings.Contains(first, d.within) {
			return d.state
		}
	}
	return "XX000"
}

// duckError returns where in an error's text DuckDB's own begins, or -1.
func duckError(text string) int {
	least := -1
	for _, d := range duckStates {
		if i := strings.Index(text, d.prefix); i >= 0 && (least < 0 || i < least) {
			least = i
		}
	}
	return least
}

// A duckMessage is an error of DuckDB's, taken apart.
type duckMessage struct {
	message, detail, hint string
	line                  int    // from 1; 0 if it does not say where
	excerpt               string // of the line
	column                int    // in the excerpt, in characters
}

// readDuck takes apart a text such as
//
//	Catalog Error: Table with name x does not exist!
//	Did you mean "y"?
//
//	LINE 1: select * from x
//	                      ^
func readDuck(text string) duckMessage {
	var d duckMessage
	body, where, found := strings.Cut(text, "\nLINE ")
	if found {
		number, rest, _ := strings.Cut(where, ": ")
		line, marker, _ := strings.Cut(rest, "\n")
		marker, _, _ = strings.Cut(marker, "\n")
		before := utf8.RuneCountInString("LINE " + number + ": ")
		if _, err := fmt.Sscan(number, &d.line); err == nil && strings.TrimLeft(marker, " ") == "^" {
			d.excerpt, d.column = line, utf8.RuneCountInString(marker)-1-before
		}
	}
	body = strings.TrimSpace(body)
	d.message, d.detail, _ = strings.Cut(body, "\n")
	d.detail = strings.TrimSpace(d.detail)
	if strings.HasPrefix(d.detail, "Did you mean") && !strings.Contains(d.detail, "\n") {
		d.detail, d.hint = "", d.detail
	}
	return d
}

// position returns where in the client's text the error is, in characters from
// 1, or 0 if nobody knows.
func (d duckMessage) position(st *statement) int32 {
	if d.line < 1 || d.column < 0 {
		return 0
	}
	lines := strings.SplitAfter(st.text, "\n")
	if d.line > len(lines) {
		return 0
	}
	before := utf8.RuneCountInString(strings.Join(lines[:d.line-1], ""))
	line := strings.TrimRight(lines[d.line-1], "\r\n")
	excerpt, column := d.excerpt, d.column
	if cut, ok := strings.CutPrefix(excerpt, "..."); ok && !strings.HasPrefix(line, excerpt) {
		excerpt, column = cut, column-3
	}
	if !strings.Contains(line, excerpt) {
		excerpt = strings.TrimSuffix(excerpt, "...")
	}
	at := strings.Index(line, excerpt)
	if at < 0 || strings.Count(line, excerpt) > 1 || column < 0 {
		return 0
	}
	return int32(st.before + before + utf8.RuneCountInString(line[:at]) + column + 1)
}
