package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/abi"
)

// ErrNoPooler is in the chain of SharedPooler's error if the machine does not
// have PgBouncer.
var ErrNoPooler = errors.New("the program pgbouncer is not on PATH")

// poolerEnv has the address of the pooler before the server of serverEnv, for
// this process's children.
const poolerEnv = "DBOS_TEST_PGBOUNCER"

// A Pooler is a PgBouncer before a server, in transaction mode: a connection
// to it has another one of the server in each transaction.
type Pooler struct {
	server *Server
	addr   string
}

// SharedPooler returns the pooler before the shared server that all tests of
// this process share. The first call starts it.
func SharedPooler() (*Pooler, error) { return sharedPooler() }

var sharedPooler = sync.OnceValues(func() (*Pooler, error) {
	s, err := Shared()
	if err != nil {
		return nil, err
	}
	if addr := os.Getenv(poolerEnv); addr != "" {
		return &Pooler{s, addr}, nil
	}
	p, err := startPooler(s)
	if err != nil {
		return nil, err
	}
	return p, os.Setenv(poolerEnv, p.addr)
})

// URL is Server.URL through the pooler. The server itself is named for what a
// pooler does not let through.
func (p *Pooler) URL(schema string, parameters ...string) string {
	return p.Via(p.addr, schema, parameters...)
}

// Via is URL with another address in the pooler's place: of a relay before it.
func (p *Pooler) Via(address, schema string, parameters ...string) string {
	own := []string{"dbos_pooler=transaction", "dbos_direct=" + p.server.Admin()}
	return p.server.Via([]string{address}, schema, append(own, parameters...)...)
}

// Addr is the pooler's address on the loopback interface.
func (p *Pooler) Addr() string { return p.addr }

// NeedPooler returns the shared pooler. Without PostgreSQL or PgBouncer on the
// machine it skips the test, or fails it where everything is required.
func NeedPooler(t testing.TB) *Pooler {
	t.Helper()
	p, err := SharedPooler()
	Check(t, err)
	return p
}

// settings of the pooler are the defaults as far as they can be, so that DBOS
// works with the pooler that an operator has.
const poolerSettings = `[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 60
max_client_conn = 2000
logfile = %s
`

func startPooler(s *Server) (*Pooler, error) {
	program, err := findPooler()
	if err != nil {
		return nil, err
	}
	owner, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, failure("make a folder", err)
	}
	w, err := watch(dir, owner)
	if err != nil {
		os.RemoveAll(dir)
		return nil, failure("watch "+dir, err)
	}
	p, err := runPooler(program, s, w, owner)
	if err != nil {
		w.stop()
		return nil, err
	}
	return p, nil
}

func findPooler() (string, error) {
	for _, name := range []string{"pgbouncer", "/usr/sbin/pgbouncer"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", abi.Errorf("pgtest.pooler", abi.Unsupported, "PgBouncer", "%w", ErrNoPooler).
		WithHint("install PgBouncer (Debian: apt-get install pgbouncer)")
}

func runPooler(program string, s *Server, w *watchdog, owner account) (*Pooler, error) {
	port, err := freePort()
	if err != nil {
		return nil, failure("find a free port", err)
	}
	query := s.base.Query()
	host, serverPort := query.Get("host"), query.Get("port")
	if host == "" {
		host, serverPort = s.base.Hostname(), s.base.Port()
	}
	users, config, log := filepath.Join(w.dir, "users"), filepath.Join(w.dir, "pgbouncer.ini"), filepath.Join(w.dir, "log")
	password, _ := s.base.User.Password()
	for name, text := range map[string]string{
		users:  fmt.Sprintf("%q %q\n", s.base.User.Username(), password),
		config: fmt.Sprintf(poolerSettings, host, orDefault(serverPort, "5432"), port, users, log),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, failure("configure the pooler", err)
		}
	}
	start := func() (<-chan struct{}, error) { return startIn(w.dir, owner, program, "-q", config) }
	ended, err := start()
	if err != nil {
		return nil, failure("start the pooler", err)
	}
	p := &Pooler{s, fmt.Sprintf("127.0.0.1:%d", port)}
	if err := p.await(ended); err != nil {
		text, _ := os.ReadFile(log)
		return nil, failure("start the pooler", fmt.Errorf("%w\n%s", err, text))
	}
	go keepRunning(w, ended, start)
	return p, nil
}

// startIn starts a process, writes down its ID where the watchdog looks, and
// signals its end.
func startIn(dir string, owner account, program string, args ...string) (<-chan struct{}, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, environment()
	owner.apply(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	return ended, os.WriteFile(filepath.Join(dir, "pid"), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o644)
}

// keepRunning starts the pooler again when it crashes, as a service manager
// would: PgBouncer 1.18 does so when the connection of a request to cancel
// breaks (its issue 801).
func keepRunning(w *watchdog, ended <-chan struct{}, start func() (<-chan struct{}, error)) {
	for {
		select {
		case <-ended:
		case <-w.ended:
			return
		}
		var err error
		if ended, err = start(); err != nil {
			return
		}
	}
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// await waits until the pooler lets connections through.
func (p *Pooler) await(ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		conn, err := pgconn.Connect(ctx, p.server.Via([]string{p.addr}, ""))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-look.C:
		case <-ended:
			return errors.New("the pooler has ended")
		case <-ctx.Done():
			return err
		}
	}
}
