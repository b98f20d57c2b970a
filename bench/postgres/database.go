package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// databases counts the databases that were made, for their names.
var databases atomic.Int64

// newDatabase makes a database and returns its URL and a function that drops
// it, with everything that is left in it.
func (s *settings) newDatabase(ctx context.Context) (string, func(), error) {
	name := fmt.Sprintf("bench_%d_%d", os.Getpid(), databases.Add(1))
	if err := s.administer(ctx, `CREATE DATABASE `+name); err != nil {
		return "", nil, err
	}
	u, err := url.Parse(s.url)
	if err != nil {
		return "", nil, err
	}
	u.Path = "/" + name
	drop := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := s.dropDatabase(ctx, name); err != nil {
			fmt.Fprintln(os.Stderr, "cannot drop", name+":", err)
		}
	}
	return u.String(), drop, nil
}

// dropDatabase drops a database and its replication slots, which would keep
// the server's log of writes. A checkpoint gives each side the same start.
func (s *settings) dropDatabase(ctx context.Context, name string) error {
	return s.administer(ctx,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '`+name+`'`,
		`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '`+name+`' AND NOT active`,
		`DROP DATABASE `+name+` WITH (FORCE)`, `CHECKPOINT`)
}

// administer runs statements on the server's own database.
func (s *settings) administer(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (s *settings) serverVersion(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	var version string
	err = conn.QueryRow(ctx, `SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
		|| ', synchronous_commit ' || current_setting('synchronous_commit') || ', wal_level ' || current_setting('wal_level')
		|| ', shared_buffers ' || current_setting('shared_buffers')`).Scan(&version)
	return version, err
}

// pool opens connections to a database.
func (s *settings) pool(ctx context.Context, url string) (*pgxpool.Pool, error) {
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	c.MaxConns, c.MinConns = int32(s.Connections), int32(s.Connections)
	return pgxpool.NewWithConfig(ctx, c)
}

// waitForNone waits until a query, which asks whether there is something left,
// says no.
func waitForNone(ctx context.Context, pool *pgxpool.Pool, query string) error {
	for {
		var left bool
		if err := pool.QueryRow(ctx, query).Scan(&left); err != nil || !left {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// statementQuery is the most expensive statements of all databases.
const statementQuery = `SELECT calls, rows, total_exec_time, mean_exec_time, wal_bytes::bigint, left(regexp_replace(query, '\s+', ' ', 'g'), 150)
	FROM pg_stat_statements WHERE query !~ 'pg_stat_statements|CREATE DATABASE' ORDER BY total_exec_time DESC LIMIT 25`

// printStatements shows where the server's time went.
func (s *settings) printStatements(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, statementQuery)
	if err != nil {
		return err
	}
	defer rows.Close()
	fmt.Fprintln(os.Stderr, "calls\trows\ttotal ms\tmean ms\tWAL bytes\tstatement")
	for rows.Next() {
		var calls, n, wal int64
		var total, mean float64
		var text string
		if err := rows.Scan(&calls, &n, &total, &mean, &wal, &text); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%d\t%d\t%.0f\t%.3f\t%d\t%s\n", calls, n, total, mean, wal, strings.TrimSpace(text))
	}
	return rows.Err()
}

// withParameter returns a URL with one more parameter.
func withParameter(text, name string, value any) string {
	u, err := url.Parse(text)
	if err != nil {
		return text // whoever opens it says what is wrong
	}
	q := u.Query()
	q.Set(name, fmt.Sprint(value))
	u.RawQuery = q.Encode()
	return u.String()
}
