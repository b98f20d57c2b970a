package pgwire

import (
	"net"
	"os/user"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/dbos-go/dbos/abi"
)

// enter connects to an endpoint by a connection of which nobody can tell whose
// it is, with a password, and returns the first answers' codes and words.
func enter(t *testing.T, e *Endpoint, password string) string {
	t.Helper()
	here, there := net.Pipe()
	e.clients.Go(func() { e.serve(there) })
	defer here.Close()
	f := pgproto3.NewFrontend(here, here)
	f.Send(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "grafana"}})
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	var words []string
	for {
		m, err := f.Receive()
		if err != nil {
			return strings.Join(words, " ")
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			words = append(words, "password?")
			f.Send(&pgproto3.PasswordMessage{Password: password})
			if err := f.Flush(); err != nil {
				t.Fatal(err)
			}
		case *pgproto3.ErrorResponse:
			words = append(words, m.Severity, m.Code)
			if m.Code == "28000" && m.Hint == "" {
				t.Errorf("%s has no hint", m.Message)
			}
		case *pgproto3.ReadyForQuery:
			return strings.Join(append(words, "ready"), " ")
		}
	}
}

func TestPassword(t *testing.T) {
	with, err := Serve(everything{}, "127.0.0.1:0", Password("secret"))
	if err != nil {
		t.Fatal(err)
	}
	defer with.Close()
	without, err := Serve(everything{}, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close()
	for _, tt := range []struct {
		e              *Endpoint
		password, want string
	}{
		{with, "secret", "password? ready"}, {with, "secre", "password? FATAL 28P01"}, {with, "", "password? FATAL 28P01"}, {without, "", "FATAL 28000"},
	} {
		if got := enter(t, tt.e, tt.password); got != tt.want {
			t.Errorf("with %q: %s, want %s", tt.password, got, tt.want)
		}
	}
}

// TestPeer asks whose the other end of a connection is, over both versions of
// the protocol.
func TestPeer(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue // a machine without IPv6
		}
		defer l.Close()
		client, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		who, err := peerOwner(conn)
		want := peer{abi.Principal("os:" + me.Username), true}
		if runtime.GOOS != "linux" {
			want = peer{} // and an error, so that a password is asked for
		}
		if who != want || (err != nil) != (runtime.GOOS != "linux") {
			t.Errorf("%s: %+v (%v), want %+v", addr, who, err, want)
		}
	}
}
