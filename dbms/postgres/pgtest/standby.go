package pgtest

import (
	"context"
	"time"
)

const standbyName = "standby"

// Standby starts a synchronous standby of the server: from then on a commit
// is acknowledged when it is on the disks of both. Promote makes it the
// primary.
func (s *Server) Standby() (*Server, error) {
	standby, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := standby.follow(s); err != nil {
		standby.Stop()
		return nil, err
	}
	return standby, nil
}

func (s *Server) follow(primary *Server) error {
	query := primary.base.Query()
	source := "host=" + query.Get("host") + " port=" + query.Get("port") + " user=" + superuser + " application_name=" + standbyName
	err := s.run("pg_basebackup", "-D", s.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", source)
	if err != nil {
		return err
	}
	if err := s.begin(primary.port != 0); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := primary.Exec(ctx, "ALTER SYSTEM SET synchronous_standby_names = '"+standbyName+"'"); err != nil {
		return err
	}
	if _, err := primary.Exec(ctx, "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	return primary.until(ctx, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'")
}

// until waits until a query gives a row.
func (s *Server) until(ctx context.Context, query string) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		rows, err := s.Exec(ctx, query)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return failure("wait for "+query, ctx.Err())
		}
	}
}

// Promote makes a standby the primary and waits until it takes writes.
func (s *Server) Promote() error { return s.control("promote") }
