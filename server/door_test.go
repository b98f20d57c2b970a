package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/server"
)

func TestSocketIsItsOwnersAlone(t *testing.T) {
	n := newNode(t, "")
	info, err := os.Lstat(n.door.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket's mode is %v", info.Mode())
	}
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			t.Errorf("the directory %s is left", e.Name())
		}
	}
}

func TestStatus(t *testing.T) {
	n := newNode(t, "")
	st, err := n.Status(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if st.Engine != "sqlite" || st.EngineVersion == "" || st.Pid != int64(os.Getpid()) || st.Location != n.dir ||
		!st.Launched || st.LastLsn == 0 || st.OpenedAt == nil || st.Node == "" || st.GoVersion == "" {
		t.Errorf("got %v", st)
	}
}

func TestCallerIsRecorded(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Exec(ctx, "create table mine (n)"); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `""`, Id: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := n.Cancel(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	got, err := all(ctx, n.Client, "select principal from dbos_transaction where procedure in ('sql.exec', 'sched.cancel')")
	if err != nil || len(got) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, row := range got {
		if row[0] != "os:"+me.Username {
			t.Errorf("the principal is %v", row[0])
		}
	}
	run, err := n.Get(ctx, "a")
	if err != nil || run.Run.Principal != "os:"+me.Username {
		t.Errorf("the run is by %q (%v)", run.GetRun().GetPrincipal(), err)
	}
}

func TestLongPath(t *testing.T) {
	dir := t.TempDir()
	for len(dir) < 300 {
		dir = filepath.Join(dir, strings.Repeat("long", 20))
	}
	n := newNode(t, dir)
	st, err := n.Status(within(t))
	if err != nil || st.Location != dir {
		t.Errorf("got %v, %v", st, err)
	}
}

func TestDoorAfterAKilledOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.MkdirAll(filepath.Join(dir, server.SocketName+".new"), 0o700); err != nil {
		t.Fatal(err) // it died while it opened its door
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, server.SocketName), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	_, err = client.Dial(t.Context(), dir)
	wantKind(t, err, abi.Unavailable)
	if _, err := newNode(t, dir).Status(within(t)); err != nil {
		t.Error(err)
	}
}

func TestSecondDoorTakesThePlace(t *testing.T) {
	n := newNode(t, "")
	second, err := server.Serve(n.sys)
	if err != nil {
		t.Fatal(err)
	}
	n.Client.Close()
	if err := n.door.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), n.dir)
	if err != nil {
		t.Fatalf("the first door has taken the second one's socket away: %v", err)
	}
	c.Close()
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(second.Addr()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	_, err = client.Dial(t.Context(), n.dir)
	wantKind(t, err, abi.Unavailable)
}

// TestCloseEndsWhatWaits has calls under way that would never end.
func TestCloseEndsWhatWaits(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	if _, err := n.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `""`, Id: "a"}); err != nil {
		t.Fatal(err)
	}
	ended, watching := make(chan error, 2), make(chan struct{})
	go func() {
		_, err := n.Wait(ctx, "a")
		ended <- err
	}()
	go func() {
		first := true
		for _, err := range n.Watch(ctx, nil) {
			if err != nil {
				ended <- err
				return
			}
			if first {
				close(watching)
			}
			first = false
		}
	}()
	<-watching
	if err := n.door.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		select {
		case err := <-ended:
			wantKind(t, err, abi.Unavailable)
		case <-ctx.Done():
			t.Fatal("a call goes on")
		}
	}
}

// TestCloseLetsCallsFinish closes the door while a result is being read.
func TestCloseLetsCallsFinish(t *testing.T) {
	n, ctx := newNode(t, "", server.Drain(limit)), within(t)
	const blobs = 200 // more than the buffers on the way hold
	rows, err := n.Query(ctx, "select zeroblob(100000) from ("+endless+") limit $1", int64(blobs))
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- n.door.Close() }()
	for { // until the door is closed to others
		c, err := client.Dial(ctx, n.dir)
		if err != nil {
			break
		}
		c.Close()
	}
	count := 0
	for rows.Next() {
		count++
	}
	if rows.Err() != nil || count != blobs {
		t.Errorf("%d rows (%v), want all", count, rows.Err())
	}
	rows.Close()
	n.Client.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestCloseCutsOff closes the door on a client that never ends.
func TestCloseCutsOff(t *testing.T) {
	n, ctx := newNode(t, "", server.Drain(1)), within(t)
	rows, err := n.Query(ctx, endless)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if err := n.door.Close(); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	wantKind(t, rows.Err(), abi.Unavailable)
}

func TestClosedSystem(t *testing.T) {
	n := newNode(t, "")
	if err := n.sys.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := all(within(t), n.Client, "select 1")
	wantKind(t, err, abi.Closed)
}

// TestPlainHTTP calls as curl would: HTTP/1.1 and JSON.
func TestPlainHTTP(t *testing.T) {
	n := newNode(t, "")
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", n.door.Addr())
	}}}
	defer c.CloseIdleConnections()
	post := func(procedure, body string) (int, string) {
		res, err := c.Post("http://node/dbos.v1."+procedure, "application/json", bytes.NewBufferString(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	if code, text := post("RunService/Start", `{"workflow": "gate", "input": "\"w\"", "id": "a"}`); code != 200 || text != `{"id":"a"}` {
		t.Errorf("got %d %s", code, text)
	}
	if code, text := post("RunService/Get", `{"id": "b"}`); code != 404 || !strings.Contains(text, `"code":"not_found"`) {
		t.Errorf("got %d %s", code, text)
	}
}

func TestHandlerTakesThePrincipalOfItsRequests(t *testing.T) {
	n, ctx := newNode(t, ""), within(t)
	h := server.Handler(n.sys)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: &p, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(dbos.WithPrincipal(r.Context(), "user:ada")))
	})}
	go s.Serve(l)
	defer s.Close()
	c := client.New(func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", l.Addr().String())
	})
	defer c.Close()
	if _, err := c.Start(ctx, &dbosv1.StartRequest{Workflow: "gate", Input: `""`, Id: "a"}); err != nil {
		t.Fatal(err)
	}
	if run, err := n.sys.Lookup(ctx, "a"); err != nil || run.Principal != "user:ada" {
		t.Errorf("the run is by %q (%v)", run.Principal, err)
	}
}
