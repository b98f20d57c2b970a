package postgres

import (
	"strings"
	"testing"

	"github.com/dbos-go/dbos/abi"
)

func TestURL(t *testing.T) {
	s, err := parseURL("postgres://ada:s3cret@db.example:6543/shop?dbos_schema=shop2&dbos_history=triggers&dbos_connections=40&dbos_wal_limit=20GB&sslmode=disable&options=-c%20geqo%3Doff")
	if err != nil {
		t.Fatal(err)
	}
	if s.schema != "shop2" || s.history != historyTriggers || s.connections != 40 || s.walLimit != 20<<30 || s.pooled || s.direct != s.config {
		t.Errorf("settings %+v", s)
	}
	if s.config.Host != "db.example" || s.config.Port != 6543 || s.config.Database != "shop" || s.config.Password != "s3cret" {
		t.Errorf("connects to %s:%d/%s", s.config.Host, s.config.Port, s.config.Database)
	}
	for name := range s.config.RuntimeParams {
		if strings.HasPrefix(name, "dbos_") {
			t.Errorf("parameter %s goes to the server", name)
		}
	}
	pooled, err := parseURL("postgres://h/d?dbos_pooler=transaction")
	if err != nil || !pooled.pooled || pooled.direct != nil {
		t.Errorf("behind a pooler: %+v, %v", pooled, err)
	}
	both, err := parseURL("postgres://h/d?dbos_pooler=transaction&dbos_direct=postgres%3A%2F%2Fg%2Fd")
	if err != nil || both.direct.Host != "g" {
		t.Errorf("behind a pooler, with the server's own URL: %+v, %v", both, err)
	}
}

// TestLocation: no password is ever shown.
func TestLocation(t *testing.T) {
	for _, url := range []string{
		"postgres://ada:s3cret@h/d", "postgres://ada@h/d?password=s3cret", "postgres://h/d?dbos_pooler=transaction&dbos_direct=postgres%3A%2F%2Fu%3As3cret%40g%2Fd",
	} {
		s, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(s.location, "s3cret") || !strings.Contains(s.location, "schema dbos") {
			t.Errorf("%s is shown as %s", url, s.location)
		}
	}
}

func TestBadURL(t *testing.T) {
	long := strings.Repeat("s", maxSchema)
	if _, err := parseURL("postgres://h/d?dbos_schema=" + long); err != nil {
		t.Errorf("a schema's name of %d letters: %v", maxSchema, err)
	}
	for _, query := range []string{
		"dbos_schema=" + long + "s", "dbos_schema=Big", "dbos_schema=1", "dbos_schema=pg_x", "dbos_schema=a-b", "dbos_schema=a%22b",
		"dbos_history=all", "dbos_pooler=session", "dbos_connections=7", "dbos_connections=1001", "dbos_connections=many", "dbos_wal_limit=63MB", "dbos_wal_limit=4", "dbos_wal_limit=-1GB", "dbos_wal_limit=GB", "dbos_nothing=1",
		"dbos_direct=%3A%2F%2Fs3cret", "sslmode=s3cret", "port=70000",
	} {
		_, err := parseURL("postgres://u:s3cret@h/d?" + query)
		if abi.KindOf(err) != abi.Invalid {
			t.Errorf("%s: error %v, want kind %q", query, err, abi.Invalid)
		} else if strings.Contains(err.Error(), "u:s3cret") {
			t.Errorf("%s: the error shows the password: %v", query, err)
		}
	}
	for _, url := range []string{"postgres://u:s3cret@h:port/d", "postgres://u:s3cret@[/d", "postgres://u:s3cret%zz@h/d"} {
		if _, err := parseURL(url); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: error %v", url, err)
		}
	}
}
