package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/server"
	"github.com/dbos-go/dbos/server/pgwire"
)

// serveCommand serves SQL to programs that speak PostgreSQL's protocol.
func (c *cli) serveCommand() *cobra.Command {
	addr, passwordFile := "127.0.0.1:5433", ""
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve SQL to psql, Grafana and others by PostgreSQL's protocol",
		Long: `serve lets psql, Grafana, pgx, JDBC and whatever else speaks to PostgreSQL ask for
what dbos sql tells: all tables as they are now, history.* and prov.*, in DuckDB's
dialect, read only. It serves until it is interrupted.

  SET dbos.at = '16 minutes ago';     -- the session's tables are those of then
  RESET dbos.at;                      -- and of now again

A program that has the directory open answers the questions. If there is none, the
directory is opened here, and no program can open it meanwhile.

Only this machine can connect. Clients of your own user need no password; others need
the one in the file of --sql-password-file (Grafana, which has a user of its own).`,
		Example: `  dbos serve &
  psql -h 127.0.0.1 -p 5433 -c 'select procedure, count(*) from prov.calls group by all'
  psql 'host=127.0.0.1 port=5433 options=-cdbos.at=10\ minutes\ ago'`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.serve(cmd.Context(), addr, passwordFile) },
	}
	cmd.Flags().StringVar(&addr, "sql", addr, "`ADDRESS` of the loopback interface to serve on; port 0 takes a free one")
	cmd.Flags().StringVar(&passwordFile, "sql-password-file", "", "`FILE` with the password for clients of other users")
	return cmd
}

func (c *cli) serve(ctx context.Context, addr, passwordFile string) (err error) {
	var opts []pgwire.Option
	if passwordFile != "" {
		text, err := os.ReadFile(passwordFile)
		password := strings.TrimSpace(string(text))
		if err != nil || password == "" {
			return abi.Errorf("dbos.serve", abi.Invalid, "password file "+passwordFile, "it cannot be read, or is empty").
				WithHint("write a password into it that only you and the clients' users can read")
		}
		opts = append(opts, pgwire.Password(password))
	}
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	st, err := s.HistoryStatus(ctx, false)
	if err != nil {
		return err
	}
	if !st.Available {
		return abi.Errorf("dbos.serve", abi.Unsupported, "SQL", "there is no warehouse: %s", st.Unavailable.GetMessage())
	}
	var source pgwire.Source = throughDoor{s.Client}
	if s.system != nil {
		source = pgwire.Of(s.system)
		// While this process has the directory, other commands go through it.
		door, err := server.Serve(s.system)
		if err != nil && abi.KindOf(err) != abi.Unsupported {
			return err
		}
		if door != nil {
			defer door.Close()
		}
	}
	endpoint, err := pgwire.Serve(source, addr, opts...)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c.out, "Serving SQL, for example: psql %q\nIt ends with Ctrl-C.\n", psqlURL(endpoint.Addr())); err != nil {
		return errors.Join(err, endpoint.Close())
	}
	<-ctx.Done()
	return endpoint.Close()
}

// psqlURL is where a client of this user connects to.
func psqlURL(addr string) string {
	name := "dbos"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return (&url.URL{Scheme: "postgres", User: url.User(name), Host: net.JoinHostPort(host, port), Path: "/dbos"}).String()
}
