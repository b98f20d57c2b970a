package pgtest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
)

// A Server is a PostgreSQL server for tests. Every connection is trusted and
// may be that of its superuser. Unless an Option says otherwise, its data are
// not safe from a power cut, for speed.
type Server struct {
	base     *url.URL // of its database, for the superuser
	bin, dir string   // empty if another process has started it
	port     int      // on the loopback interface; 0 for none
	account  account
	watchdog *watchdog
	shared   bool // nobody may stop it
}

// A config is what Options say.
type config struct {
	loopback bool
	settings []setting
}

type setting struct{ name, value string }

// An Option changes how Start sets a server up.
type Option func(*config)

// Set gives a setting of postgresql.conf another value.
func Set(name, value string) Option {
	return func(c *config) { c.settings = append(c.settings, setting{name, value}) }
}

// Loopback lets the server also listen on a port of the loopback interface,
// so that a relay can stand before it: see Server.Addr.
func Loopback() Option { return func(c *config) { c.loopback = true } }

// Durable makes commits safe from a power cut, at the speed of the disk.
func Durable() Option {
	return func(c *config) { Set("fsync", "on")(c); Set("full_page_writes", "on")(c) }
}

// defaults are the settings of a test server: everything that DBOS can use is
// on, and many tests at once find room.
func defaults(bin string) []setting {
	all := []setting{
		{"fsync", "off"}, {"full_page_writes", "off"}, {"wal_level", "logical"},
		{"max_connections", "300"}, {"max_wal_senders", "100"}, {"max_replication_slots", "500"}, {"max_locks_per_transaction", "256"},
		{"shared_buffers", "64MB"}, {"max_wal_size", "256MB"}, {"min_wal_size", "32MB"},
		{"log_line_prefix", "%m [%p] %q%a "},
	}
	if hasLibrary(bin, "pg_stat_statements") {
		all = append(all, setting{"shared_preload_libraries", "pg_stat_statements"})
	}
	return all
}

const (
	superuser = "postgres"
	// socketPort is the number in the name of the Unix socket of a server
	// without a port.
	socketPort = 5432
	// socketLimit is how long the path of a Unix socket may be.
	socketLimit = 103
)

// Start starts a new server with an empty database. It ends with Stop, or
// with this process.
func Start(options ...Option) (*Server, error) {
	var c config
	for _, option := range options {
		option(&c)
	}
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	err = s.run("initdb", "--no-sync", "-A", "trust", "-U", superuser, "-E", "UTF8", "--locale=C", "--no-instructions", "-D", s.data())
	if err == nil {
		err = s.configure(append(defaults(s.bin), c.settings...))
	}
	if err == nil {
		err = s.begin(c.loopback)
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// prepare makes the folder of a server and the watchdog that removes it.
func prepare() (*Server, error) {
	bin, err := programs(installed)
	if err != nil {
		return nil, err
	}
	owner, err := serverAccount()
	if err != nil {
		return nil, err
	}
	sweep()
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, failure("make a folder", err)
	}
	if socket := filepath.Join(dir, ".s.PGSQL.00000"); len(socket) > socketLimit {
		os.Remove(dir)
		return nil, failure("make a folder", fmt.Errorf("the socket's path %s is longer than %d bytes", socket, socketLimit))
	}
	s := &Server{bin: bin, dir: dir, account: owner}
	if s.watchdog, err = watch(dir, owner); err != nil {
		os.RemoveAll(dir)
		return nil, failure("watch "+dir, err)
	}
	return s, nil
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logfile() string { return filepath.Join(s.dir, "log") }

// configure appends settings to the configuration, where the last one counts.
func (s *Server) configure(settings []setting) error {
	f, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return failure("configure", err)
	}
	for _, v := range settings {
		fmt.Fprintf(f, "%s = '%s'\n", v.name, strings.ReplaceAll(v.value, "'", "''"))
	}
	if err := f.Close(); err != nil {
		return failure("configure", err)
	}
	return nil
}

// begin starts the server for the first time. The port is only chosen here,
// and another process may take it meanwhile.
func (s *Server) begin(loopback bool) error {
	port, listen := socketPort, ""
	for try := 0; ; try++ {
		if loopback {
			free, err := freePort()
			if err != nil {
				return failure("find a free port", err)
			}
			s.port, port, listen = free, free, "127.0.0.1"
		}
		err := s.configure([]setting{{"listen_addresses", listen}, {"port", strconv.Itoa(port)}, {"unix_socket_directories", s.dir}})
		if err != nil {
			return err
		}
		if err = s.control("start"); err == nil {
			break
		}
		if !loopback || try == 3 {
			return err
		}
	}
	query := url.Values{"host": {s.dir}, "port": {strconv.Itoa(port)}}
	s.base = &url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/postgres", RawQuery: query.Encode()}
	return nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// control runs pg_ctl and waits for what it does.
func (s *Server) control(what string, args ...string) error {
	if s.shared {
		return abi.Errorf("pgtest."+what, abi.Unsupported, "server "+s.base.Redacted(), "other tests use it too").
			WithHint("a test that stops servers starts its own: pgtest.Start")
	}
	args = append([]string{what, "-w", "-t", "60", "-D", s.data(), "-l", s.logfile()}, args...)
	return s.run("pg_ctl", args...)
}

// run runs one of PostgreSQL's programs as the server's account.
func (s *Server) run(program string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.dir, environment(), time.Minute
	s.account.apply(cmd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return failure(program, fmt.Errorf("%w\n%s\n%s", err, out, s.Log()))
	}
	return nil
}

// environment is this process's without what would lead PostgreSQL's programs
// elsewhere.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "LC_") && !strings.HasPrefix(v, "LANG") {
			kept = append(kept, v)
		}
	}
	return append(kept, "LC_ALL=C")
}

// Log returns the end of the server's log.
func (s *Server) Log() string {
	const most = 8 << 10
	text, _ := os.ReadFile(s.logfile())
	return string(text[max(0, len(text)-most):])
}

// Kill stops the server as a crash would: it aborts what is under way and
// does not write down what is in memory. Restart goes on from there.
func (s *Server) Kill() error { return s.control("stop", "-m", "immediate") }

// Restart starts the server again, after Kill or in its stead.
func (s *Server) Restart() error { return s.control("restart", "-m", "immediate") }

// Stop ends the server and removes its data.
func (s *Server) Stop() error {
	if s.shared {
		return nil
	}
	return s.watchdog.stop()
}

func failure(what string, err error) error {
	return abi.Errorf("pgtest.start", abi.Other, "PostgreSQL", "%s: %w", what, err)
}
