package pgwire

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dbos-go/dbos/abi"
)

// A table of every kind of value, that answers whatever is asked.
type everything struct{}

func (everything) Query(_ context.Context, _, sql string, args ...any) (Rows, error) {
	if strings.Contains(sql, "nosuch") {
		return nil, abi.Errorf("x", abi.Invalid, "", "Binder Error: Referenced column \"nosuch\" not found\n\nLINE 1: %s\n%s^", sql, strings.Repeat(" ", len(sql)))
	}
	f := &fixed{}
	row := []any{}
	for duck, v := range map[string]any{
		"BOOLEAN": true, "INTEGER": int64(-1), "BIGINT": int64(1) << 62, "DOUBLE": 1e-7, "FLOAT": 0.5, "VARCHAR": "é", "BLOB": []byte{0}, "DATE": epoch,
		"TIME": "10:00:00.5", "TIMESTAMP": epoch, "TIMESTAMPTZ": epoch.AddDate(-2500, 0, 0), "HUGEINT": "170141183460469231731687303715884105727",
		"DECIMAL(10,2)": "-0.01", "UUID": "8c1f7f90-2b5e-4b57-8f0a-111111111111", "INTERVAL": "1 year 2 months 3 days 04:05:06", "INTEGER[]": "[1, NULL]",
	} {
		f.columns, row = append(f.columns, Column{Name: duck, Type: duck}), append(row, v)
	}
	f.rows = [][]any{row, make([]any, len(row))}
	return f, nil
}

func (everything) Moment(_ context.Context, at string) (Moment, error) {
	if strings.Contains(at, "x") {
		return Moment{}, abi.Errorf("prov.moment", abi.Invalid, "moment "+at, "it cannot be read")
	}
	return Moment{LSN: 7, Text: at}, nil
}

// failures are what sessions that panicked say.
type failures chan string

func (f failures) Enabled(context.Context, slog.Level) bool { return true }
func (f failures) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f failures) WithGroup(string) slog.Handler            { return f }
func (f failures) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	select {
	case f <- text:
	default:
	}
	return nil
}

// conversation encodes what a client says.
func conversation(messages ...pgproto3.FrontendMessage) []byte {
	var b []byte
	for _, m := range messages {
		var err error
		if b, err = m.Encode(b); err != nil {
			panic(err)
		}
	}
	return b
}

// FuzzMessages says anything to a session that has begun. It must answer or hang
// up; it must not fail.
func FuzzMessages(f *testing.F) {
	sync := &pgproto3.Sync{}
	for _, sql := range []string{
		"SELECT 1; SELECT nosuch; ", "BEGIN; SET dbos.at = 'x'; COMMIT", "COPY t TO STDOUT (FORMAT csv, HEADER)", "SET a.b TO DEFAULT", "SHOW ALL",
		"DECLARE c CURSOR WITH HOLD FOR SELECT 1; FETCH 1 FROM c; CLOSE c", "SELECT 'x'::regclass, version() FROM pg_catalog.pg_class WHERE relname !~* $1",
		"SELECT CAST(a AS pg_catalog.", "information_schema.", "SELECT pg_catalog.", "a OPERATOR(", "COLLATE pg_catalog.", "SET", "RESET", "FETCH", "DECLARE", "COPY (", "::regclass",
		"CAST(", "ROLLBACK TO", "SAVEPOINT", "CLOSE", "WITH", "SHOW", "EXPLAIN (", "SET TIME ZONE", "SET x =", "DEALLOCATE", "DISCARD", "FETCH FORWARD", "MOVE ALL IN",
	} {
		f.Add(conversation(&pgproto3.Query{String: sql}))
		f.Add(conversation(&pgproto3.Parse{Query: sql}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{ResultFormatCodes: []int16{1}}, &pgproto3.Execute{MaxRows: 1}, sync))
	}
	for _, oid := range []uint32{0, 16, 17, 20, 23, 25, 701, 1082, 1114, 1184, 1700, 2950, 1186, 1016, 1009, pgtype.PointOID} {
		for _, value := range []string{"", "1", "{1,2}", "\x00\x00\x00\x00\x00\x00\x00\x01", "2026-11-21"} {
			f.Add(conversation(&pgproto3.Parse{Query: "SELECT $1", ParameterOIDs: []uint32{oid}},
				&pgproto3.Bind{ParameterFormatCodes: []int16{int16(oid % 2)}, Parameters: [][]byte{[]byte(value)}}, &pgproto3.Execute{}, sync))
		}
	}
	f.Add([]byte("Q\x00\x00\x00\x03"))
	f.Add([]byte("B\xff\xff\xff\xff"))
	failed := make(failures, 1)
	e, err := Serve(everything{}, "127.0.0.1:0", Logger(slog.New(failed)), WriteTime(5*time.Second))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	hello := conversation(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "fuzz"}})
	f.Fuzz(func(t *testing.T, said []byte) {
		conn, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Skip(err) // the machine has no more ports
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			conn.Write(append(append([]byte(nil), hello...), said...))
			conn.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%q: it does not end", said)
		}
		select {
		case text := <-failed:
			t.Errorf("%q: %s", said, text)
		default:
		}
	})
}

// FuzzStartup says anything at first.
func FuzzStartup(f *testing.F) {
	f.Add(conversation(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "a", "options": `-c dbos.at=LSN\ 7 --x`}}))
	f.Add(conversation(&pgproto3.SSLRequest{}))
	f.Add(conversation(&pgproto3.GSSEncRequest{}))
	f.Add(conversation(&pgproto3.CancelRequest{ProcessID: 1, SecretKey: []byte("1234")}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	failed := make(failures, 1)
	e, err := Serve(everything{}, "127.0.0.1:0", Logger(slog.New(failed)), WriteTime(5*time.Second))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	f.Fuzz(func(t *testing.T, said []byte) {
		conn, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Skip(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			conn.Write(said)
			conn.(*net.TCPConn).CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%q: it does not end", said)
		}
		select {
		case text := <-failed:
			t.Errorf("%q: %s", said, text)
		default:
		}
	})
}
