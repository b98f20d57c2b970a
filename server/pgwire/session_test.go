//go:build cgo

package pgwire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/server/pgwire"
)

// endless is a query that never ends, and forever one whose first row never
// comes.
const (
	endless = "SELECT i, repeat('x', 1000) FROM range(1000000000000) r(i)"
	forever = "SELECT count(*) FROM range(1000000000000) a(i), range(1000000) b(j) WHERE i * j = -1"
)

func connect(t testing.TB, e *pgwire.Endpoint, parameters ...string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url(e)+"?"+strings.Join(parameters, "&"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// ask runs a query of one text value by the simple protocol.
func ask(t testing.TB, conn *pgx.Conn, query string) string {
	t.Helper()
	var got string
	if err := conn.QueryRow(t.Context(), query, pgx.QueryExecModeSimpleProtocol).Scan(&got); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return got
}

func run(t testing.TB, conn *pgx.Conn, query string) string {
	t.Helper()
	tag, err := conn.Exec(t.Context(), query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return tag.String()
}

func TestMoment(t *testing.T) {
	e := serve(t, newShop(t))
	conn := connect(t, e)
	const count = "SELECT count(*)::VARCHAR FROM orders"
	if got := ask(t, conn, count); got != "3" {
		t.Errorf("now: %s rows", got)
	}
	run(t, conn, "SET dbos.at = '16 minutes ago'")
	if got := ask(t, conn, count); got != "1" {
		t.Errorf("then: %s rows", got)
	}
	if got := ask(t, conn, "SHOW dbos.at"); got != "16 minutes ago (LSN 42)" {
		t.Errorf("SHOW says %q", got)
	}
	_, err := conn.Exec(t.Context(), "SET dbos.at TO '1 year ago'")
	if e := wantState(t, err, "22008"); e.Hint != "ask for a later moment" || !strings.Contains(e.Message, "history begins at LSN 7") {
		t.Errorf("got %q, hint %q", e.Message, e.Hint)
	}
	if got := ask(t, conn, count); got != "1" {
		t.Errorf("after a moment that there is not: %s rows", got)
	}
	run(t, conn, "BEGIN; SET LOCAL dbos.at = now")
	if got := ask(t, conn, count); got != "3" {
		t.Errorf("in the block: %s rows", got)
	}
	run(t, conn, "COMMIT")
	if got := ask(t, conn, count); got != "1" {
		t.Errorf("behind the block: %s rows", got)
	}
	run(t, conn, "BEGIN; RESET dbos.at; ROLLBACK")
	if got := ask(t, conn, count); got != "1" {
		t.Errorf("after a rollback: %s rows", got)
	}
	run(t, conn, "RESET dbos.at")
	if got := ask(t, conn, count); got != "3" {
		t.Errorf("after RESET: %s rows", got)
	}
	if got := ask(t, connect(t, e, "options=-c%20dbos.at%3DLSN%5C%2042"), count); got != "1" {
		t.Errorf("with the moment in the options: %s rows", got)
	}
	if got := ask(t, connect(t, e, "dbos.at=LSN%2042"), count); got != "1" {
		t.Errorf("with the moment as a parameter: %s rows", got)
	}
	if _, err := pgx.Connect(t.Context(), url(e)+"?dbos.at=yesteryear"); err == nil {
		t.Error("a session at a moment that there is not was opened")
	}
}

// TestRepeatableRead reads one moment in a block that asks for it.
func TestRepeatableRead(t *testing.T) {
	s := newShop(t)
	seen := make(chan string, 10)
	conn := connect(t, serve(t, &watched{s, seen}))
	run(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	ask(t, conn, "SELECT 'a'")
	run(t, conn, "COMMIT")
	run(t, conn, "BEGIN")
	ask(t, conn, "SELECT 'b'")
	run(t, conn, "COMMIT")
	if first, second := <-seen, <-seen; first != "LSN 100: SELECT 'a'" || second != ": SELECT 'b'" {
		t.Errorf("asked %q and %q", first, second)
	}
}

// watched tells which statements are asked, at which moment.
type watched struct {
	*shop
	seen chan<- string
}

func (w *watched) Query(ctx context.Context, at, query string, args ...any) (pgwire.Rows, error) {
	w.seen <- at + ": " + query
	return w.shop.Query(ctx, "", query, args...)
}

func TestSettings(t *testing.T) {
	e := serve(t, newShop(t))
	conn := connect(t, e, "application_name=test", "timezone=Europe/Berlin")
	for _, tt := range []struct{ do, show, want string }{
		{"", "SHOW application_name", "test"},
		{"", "SELECT TIMESTAMPTZ '2026-11-21 18:05:00+00'", "2026-11-21 19:05:00+01"},
		{"SET TIME ZONE 'Asia/Kolkata'", "SELECT TIMESTAMPTZ '2026-11-21 18:05:00+00'", "2026-11-21 23:35:00+05:30"},
		{"SET timezone TO DEFAULT", "SHOW TIME ZONE", "UTC"},
		{"SET statement_timeout = 1500", "SHOW statement_timeout", "1500ms"},
		{"SET statement_timeout = '2min'", "SHOW statement_timeout", "2min"},
		{"SET search_path = main, history", "SHOW search_path", "main, history"},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SHOW default_transaction_isolation", "serializable"},
		{"SET my.own = 'x'", "SELECT current_setting('my.own')", "x"},
		{"DISCARD ALL", "SHOW search_path", "main"},
		{"SET extra_float_digits = 3", "SELECT current_setting('extra_float_digits', true)", "3"},
		{"", "SELECT current_setting('server_version_num')", "150000"},
		{"SET NAMES 'utf-8'", "SHOW client_encoding", "UTF8"},
		{"", "SHOW server_version", "15.0"},
		{"", "SHOW TRANSACTION ISOLATION LEVEL", "read committed"},
		{"SET datestyle = 'ISO, DMY'", "SHOW datestyle", "ISO, MDY"},
	} {
		if tt.do != "" {
			run(t, conn, tt.do)
		}
		if got := ask(t, conn, tt.show); got != tt.want {
			t.Errorf("%s; %s: got %q, want %q", tt.do, tt.show, got, tt.want)
		}
	}
	run(t, conn, "SET application_name = 'other'")
	if got := conn.PgConn().ParameterStatus("application_name"); got != "other" {
		t.Errorf("the client knows %q", got)
	}
	if rows := fmt.Sprint(all(t, conn, "SHOW ALL")); !strings.Contains(rows, "[dbos.at now ]") {
		t.Errorf("SHOW ALL does not show dbos.at: %s", rows)
	}
}

// all returns the rows of a query as texts.
func all(t testing.TB, conn *pgx.Conn, query string) [][]string {
	t.Helper()
	results, err := conn.PgConn().Exec(t.Context(), query).ReadAll()
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	var list [][]string
	for _, row := range results[len(results)-1].Rows {
		var texts []string
		for _, v := range row {
			texts = append(texts, string(v))
		}
		list = append(list, texts)
	}
	return list
}

func TestBlocks(t *testing.T) {
	conn := connect(t, serve(t, newShop(t)))
	wantStatus := func(want byte) {
		t.Helper()
		if got := conn.PgConn().TxStatus(); got != want {
			t.Errorf("the block is %c, want %c", got, want)
		}
	}
	run(t, conn, "BEGIN READ ONLY")
	wantStatus('T')
	run(t, conn, "SAVEPOINT a")
	_, err := conn.Exec(t.Context(), "SELECT nosuch")
	wantState(t, err, "42703")
	wantStatus('E')
	_, err = conn.Exec(t.Context(), "SELECT 1")
	wantState(t, err, "25P02")
	run(t, conn, "ROLLBACK TO SAVEPOINT a")
	wantStatus('T')
	ask(t, conn, "SELECT 'goes on'")
	run(t, conn, "RELEASE a")
	_, err = conn.Exec(t.Context(), "ROLLBACK TO a")
	wantState(t, err, "3B001")
	if got := run(t, conn, "COMMIT"); got != "ROLLBACK" {
		t.Errorf("the commit of a failed block says %q", got)
	}
	wantStatus('I')
	_, err = conn.Exec(t.Context(), "BEGIN READ WRITE")
	wantState(t, err, "25006")
	_, err = conn.Exec(t.Context(), "SAVEPOINT a")
	wantState(t, err, "25P01")
}

func TestCursors(t *testing.T) {
	conn := connect(t, serve(t, newShop(t)))
	_, err := conn.Exec(t.Context(), "DECLARE c CURSOR FOR SELECT 1")
	wantState(t, err, "25P01")
	run(t, conn, "BEGIN; DECLARE c NO SCROLL CURSOR FOR SELECT i FROM range(5) r(i) ORDER BY i")
	for _, tt := range []struct{ fetch, want string }{
		{"FETCH FORWARD 2 FROM c", "[[0] [1]]"}, {"FETCH c", "[[2]]"}, {"MOVE 1 FROM c", "[]"}, {"FETCH ALL IN c", "[[4]]"}, {"FETCH 10 FROM c", "[]"},
	} {
		if got := fmt.Sprint(all(t, conn, tt.fetch)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.fetch, got, tt.want)
		}
	}
	run(t, conn, "CLOSE c")
	_, err = conn.Exec(t.Context(), "FETCH 1 FROM c")
	wantState(t, err, "34000")
	run(t, conn, "ROLLBACK; DECLARE h CURSOR WITH HOLD FOR "+endless)
	if got := all(t, conn, "FETCH 3 FROM h"); len(got) != 3 {
		t.Errorf("%d rows of a cursor without its block", len(got))
	}
	_, err = conn.Exec(t.Context(), "FETCH BACKWARD 1 FROM h")
	wantState(t, err, "0A000")
}

// A dialogue is a connection on which a test speaks the protocol itself.
type dialogue struct {
	t *testing.T
	*pgconn.HijackedConn
}

func newDialogue(t *testing.T, e *pgwire.Endpoint) dialogue {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), url(e))
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hijacked.Conn.Close() })
	return dialogue{t, hijacked}
}

func (d dialogue) send(messages ...pgproto3.FrontendMessage) {
	d.t.Helper()
	for _, m := range messages {
		d.Frontend.Send(m)
	}
	if err := d.Frontend.Flush(); err != nil {
		d.t.Fatal(err)
	}
}

// answers returns what comes up to the next ReadyForQuery, in words.
func (d dialogue) answers() string {
	d.t.Helper()
	var words []string
	for {
		m, err := d.Frontend.Receive()
		if err != nil {
			d.t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			words = append(words, string(m.Values[0]))
		case *pgproto3.CommandComplete:
			words = append(words, string(m.CommandTag))
		case *pgproto3.ErrorResponse:
			words = append(words, m.Code)
		case *pgproto3.ReadyForQuery:
			return strings.Join(append(words, string(m.TxStatus)), " ")
		default:
			words = append(words, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
		}
	}
}

// TestExtendedProtocol fetches a result in pieces, and makes mistakes.
func TestExtendedProtocol(t *testing.T) {
	d := newDialogue(t, serve(t, newShop(t)))
	type list = []pgproto3.FrontendMessage
	const three = "SELECT i FROM range(3) r(i) ORDER BY i"
	for _, tt := range []struct {
		messages list
		want     string
	}{
		{list{&pgproto3.Parse{Query: "BEGIN"}, &pgproto3.Bind{}, &pgproto3.Execute{}}, "ParseComplete BindComplete BEGIN T"},
		{list{&pgproto3.Parse{Name: "s", Query: three}, &pgproto3.Describe{ObjectType: 'S', Name: "s"}}, "ParseComplete ParameterDescription RowDescription T"},
		{list{&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 2}}, "BindComplete 0 1 PortalSuspended T"},
		{list{&pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Execute{Portal: "p"}}, "2 SELECT 1 SELECT 0 T"},
		{list{&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p"}}, "42P03 E"},
		{list{&pgproto3.Parse{Query: "ROLLBACK"}, &pgproto3.Bind{}, &pgproto3.Execute{}}, "ParseComplete BindComplete ROLLBACK I"},
		{list{&pgproto3.Execute{Portal: "p"}, &pgproto3.Parse{Query: "SELECT 1"}}, "34000 I"},
		{list{&pgproto3.Bind{PreparedStatement: "s", DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}}, "BindComplete 0 PortalSuspended I"},
		{list{&pgproto3.Execute{Portal: "p"}}, "34000 I"}, // it ended with the Sync
		{list{&pgproto3.Parse{Query: " ; -- nothing"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}},
			"ParseComplete BindComplete NoData EmptyQueryResponse I"},
		{list{&pgproto3.Parse{Query: "SELECT 1; SELECT 2"}}, "42601 I"},
		{list{&pgproto3.Parse{Name: "s", Query: "SELECT 1"}}, "42P05 I"},
		{list{&pgproto3.Parse{Query: "SELECT $2::INTEGER"}, &pgproto3.Bind{Parameters: [][]byte{nil}}}, "ParseComplete 08P01 I"},
		{list{&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{ResultFormatCodes: []int16{0, 1}}, &pgproto3.Describe{ObjectType: 'P'}}, "ParseComplete BindComplete 08P01 I"},
		{list{&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{ResultFormatCodes: []int16{7}}, &pgproto3.Execute{}}, "ParseComplete BindComplete 08P01 I"},
		{list{&pgproto3.Parse{Query: "SHOW server_encoding"}, &pgproto3.Describe{ObjectType: 'S'}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Flush{}},
			"ParseComplete ParameterDescription RowDescription BindComplete UTF8 SHOW I"},
		{list{&pgproto3.Close{ObjectType: 'S', Name: "s"}, &pgproto3.Bind{PreparedStatement: "s"}}, "CloseComplete 26000 I"},
		{list{&pgproto3.Describe{ObjectType: 'X'}}, "08P01 I"},
		{list{&pgproto3.Parse{Query: "DELETE FROM orders"}, &pgproto3.Describe{ObjectType: 'S'}}, "ParseComplete 25006 I"},
		{list{&pgproto3.Parse{Query: "SELECT nosuch"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Parse{Query: "SELECT 1"}}, "ParseComplete BindComplete 42703 I"},
		{list{&pgproto3.CopyFail{}, &pgproto3.Parse{Query: "EXPLAIN SELECT 1"}, &pgproto3.Describe{ObjectType: 'S'}}, "ParseComplete ParameterDescription RowDescription I"},
	} {
		d.send(append(tt.messages, &pgproto3.Sync{})...)
		if got := d.answers(); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.messages, got, tt.want)
		}
	}
	d.send(&pgproto3.Query{String: "SELECT 1; SELECT nosuch; SELECT 3"})
	if got, want := d.answers(), "RowDescription 1 SELECT 1 42703 I"; got != want {
		t.Errorf("several statements: got %s, want %s", got, want)
	}
	d.send(&pgproto3.Query{String: ""})
	if got, want := d.answers(), "EmptyQueryResponse I"; got != want {
		t.Errorf("no statement: got %s, want %s", got, want)
	}
}

func TestCopy(t *testing.T) {
	conn := connect(t, serve(t, newShop(t))).PgConn()
	const rows = `(SELECT * FROM (VALUES (1, 'a,"b"', true), (2, NULL, false), (3, e'tab\tend\\', NULL)) v(id, name, ok))`
	for _, tt := range []struct{ copy, want string }{
		{"COPY " + rows + " TO STDOUT", "1\ta,\"b\"\tt\n2\t\\N\tf\n3\ttab\\tend\\\\\t\\N\n"},
		{"copy " + rows + " to stdout with (format csv, header)", "id,name,ok\n1,\"a,\"\"b\"\"\",t\n2,,f\n3,tab\tend\\,\n"},
		{"COPY " + rows + " TO STDOUT CSV HEADER DELIMITER ';' NULL 'none' QUOTE ''''", "id;name;ok\n1;a,\"b\";t\n2;none;f\n3;tab\tend\\;none\n"},
		{"COPY " + rows + " TO STDOUT (FORMAT CSV, FORCE_QUOTE *)", "\"1\",\"a,\"\"b\"\"\",\"t\"\n\"2\",,\"f\"\n\"3\",\"tab\tend\\\",\n"},
		{"COPY orders (id, item) TO STDOUT DELIMITER '|'", "1|item 1\n2|item 2\n1000|\\N\n"},
		{"COPY history.orders TO STDOUT", ""},
	} {
		var b strings.Builder
		tag, err := conn.CopyTo(t.Context(), &b, tt.copy)
		if err != nil || b.String() != tt.want {
			t.Errorf("%s: got %q (%v), want %q", tt.copy, b.String(), err, tt.want)
		}
		if want := fmt.Sprintf("COPY %d", strings.Count(strings.TrimPrefix(strings.TrimPrefix(tt.want, "id,name,ok\n"), "id;name;ok\n"), "\n")); tag.String() != want {
			t.Errorf("%s: the tag is %q, want %q", tt.copy, tag, want)
		}
	}
	for copy, code := range map[string]string{
		"COPY orders FROM STDIN": "25006", "COPY orders TO '/tmp/x'": "42501", "COPY orders TO PROGRAM 'cat'": "42501", "COPY": "42601",
		"COPY orders TO STDOUT (FORMAT binary)": "0A000", "COPY nosuch TO STDOUT": "42P01", "COPY (DELETE FROM orders) TO STDOUT": "25006",
		"COPY orders TO STDOUT (NOSUCH)": "42601", "COPY orders TO STDOUT DELIMITER 'ab'": "22023",
	} {
		_, err := conn.CopyTo(t.Context(), io.Discard, copy)
		wantState(t, err, code)
	}
}

// TestCancel ends a statement that has begun, from another connection.
func TestCancel(t *testing.T) {
	s := newShop(t)
	conn := connect(t, serve(t, s))
	canceled := make(chan error)
	go func() {
		<-s.began
		canceled <- conn.PgConn().CancelRequest(t.Context())
	}()
	_, err := conn.Exec(t.Context(), forever)
	wantState(t, err, "57014")
	if err := <-canceled; err != nil {
		t.Error(err)
	}
	if got := ask(t, conn, "SELECT 'goes on'"); got != "goes on" {
		t.Errorf("got %q", got)
	}
}

// TestCancelNeedsTheSecret sends cancel requests with a wrong one.
func TestCancelNeedsTheSecret(t *testing.T) {
	s := newShop(t)
	e := serve(t, s)
	conn := connect(t, e)
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), forever)
		ended <- err
	}()
	<-s.began
	for _, secret := range [][]byte{{0, 0, 0, 0}, make([]byte, 200)} {
		raw, err := net.Dial("tcp", e.Addr())
		if err != nil {
			t.Fatal(err)
		}
		message, err := (&pgproto3.CancelRequest{ProcessID: conn.PgConn().PID(), SecretKey: secret}).Encode(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Write(message); err != nil {
			t.Fatal(err)
		}
		if n, err := raw.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the request was answered: %d, %v", n, err)
		}
		raw.Close()
	}
	select {
	case err := <-ended:
		t.Errorf("a stranger ended the statement: %v", err)
	default:
	}
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantState(t, <-ended, "57014")
}

func TestStatementTime(t *testing.T) {
	e := serve(t, newShop(t), pgwire.StatementTime(50*time.Millisecond))
	conn := connect(t, e)
	_, err := conn.Exec(t.Context(), forever)
	wantState(t, err, "57014")
	_, err = conn.Exec(t.Context(), endless, pgx.QueryExecModeExec)
	wantState(t, err, "57014")
	conn = connect(t, e, "statement_timeout=0")
	if got := ask(t, conn, "SHOW statement_timeout"); got != "0" {
		t.Errorf("got %q", got)
	}
	run(t, conn, "SET statement_timeout = '20ms'")
	_, err = conn.Exec(t.Context(), forever)
	wantState(t, err, "57014")
}

// TestVanishedClients hang up while a statement runs, which ends with them.
func TestVanishedClients(t *testing.T) {
	s := newShop(t)
	e := serve(t, s)
	for _, query := range []string{forever, endless} {
		conn, err := pgconn.Connect(t.Context(), url(e))
		if err != nil {
			t.Fatal(err)
		}
		hijacked, err := conn.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		hijacked.Frontend.Send(&pgproto3.Query{String: query})
		if err := hijacked.Frontend.Flush(); err != nil {
			t.Fatal(err)
		}
		<-s.began
		if err := hijacked.Conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil { // waits for the statements
		t.Error(err)
	}
}

// TestSlowClients read nothing. They are cut off, and others are served.
func TestSlowClients(t *testing.T) {
	s := newShop(t)
	e := serve(t, s, pgwire.WriteTime(100*time.Millisecond))
	slow, err := pgconn.Connect(t.Context(), url(e))
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := slow.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	defer hijacked.Conn.Close()
	hijacked.Frontend.Send(&pgproto3.Query{String: endless})
	if err := hijacked.Frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, connect(t, e), "SELECT 'served'"); got != "served" {
		t.Errorf("got %q", got)
	}
	if err := e.Close(); err != nil { // waits for both
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, hijacked.Conn); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}

func TestConnections(t *testing.T) {
	e := serve(t, newShop(t), pgwire.Connections(3))
	var conns []*pgx.Conn
	for range 3 {
		conns = append(conns, connect(t, e))
	}
	_, err := pgx.Connect(t.Context(), url(e))
	wantState(t, err, "53300")
	conns[0].Close(t.Context())
	for { // its place becomes free when the endpoint has noticed
		conn, err := pgx.Connect(t.Context(), url(e))
		if err == nil {
			conn.Close(t.Context())
			break
		}
		wantState(t, err, "53300")
	}
}

// TestManyClients ask at once.
func TestManyClients(t *testing.T) {
	e := serve(t, newShop(t))
	var clients sync.WaitGroup
	for i := range 40 {
		clients.Go(func() {
			conn, err := pgx.Connect(t.Context(), url(e))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close(context.Background())
			for j := range 5 {
				var got int
				if err := conn.QueryRow(t.Context(), "SELECT $1::INTEGER + $2::INTEGER", i, j).Scan(&got); err != nil || got != i+j {
					t.Errorf("%d + %d = %d (%v)", i, j, got, err)
				}
			}
		})
	}
	clients.Wait()
}

// TestClose ends an endpoint with a client that does nothing, one in a
// statement that ends in time, and one in a statement that does not.
func TestClose(t *testing.T) {
	s := newShop(t)
	e := serve(t, s, pgwire.Drain(50*time.Millisecond))
	idle, busy := connect(t, e), connect(t, e)
	ended := make(chan error)
	go func() {
		_, err := busy.Exec(t.Context(), forever)
		ended <- err
	}()
	<-s.began
	closed := make(chan error)
	go func() { closed <- e.Close() }()
	wantState(t, <-ended, "57P01")
	if err := <-closed; err != nil {
		t.Error(err)
	}
	_, err := idle.Exec(t.Context(), "SELECT 1")
	wantState(t, err, "57P01")
	if _, err := pgx.Connect(t.Context(), url(e)); err == nil {
		t.Error("a client was let in")
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestAddresses(t *testing.T) {
	s := newShop(t)
	for addr, kind := range map[string]abi.Kind{
		"0.0.0.0:0": abi.Denied, ":0": abi.Denied, "[::]:0": abi.Denied, "192.0.2.1:5433": abi.Denied, "example.org:5433": abi.Denied,
		"5433": abi.Invalid, "127.0.0.1:port": abi.Unavailable, serve(t, s).Addr(): abi.Unavailable,
	} {
		_, err := pgwire.Serve(s, addr)
		if abi.KindOf(err) != kind || abi.HintOf(err) == "" {
			t.Errorf("%s: got %v (%v), want %v", addr, err, abi.KindOf(err), kind)
		}
	}
	for _, addr := range []string{"localhost:0", "127.0.0.2:0"} {
		e, err := pgwire.Serve(s, addr)
		if err != nil {
			t.Error(err)
			continue
		}
		e.Close()
	}
}
