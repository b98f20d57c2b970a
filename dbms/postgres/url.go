package postgres

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/abi"
)

// settings are what the URL says. Parameters that begin with dbos_ are ours;
// the others go to the server.
type settings struct {
	config      *pgconn.Config // through the pooler, if there is one
	direct      *pgconn.Config // to the server itself; nil if a pooler hides it
	schema      string
	history     historyMode
	pooled      bool // behind a pooler in transaction mode
	connections int
	walLimit    int64  // how much of its log the server keeps for history, in bytes
	location    string // the URL as it may be shown
	url         string // as it was given
}

// A historyMode is how changes are captured.
type historyMode string

const (
	historyAuto     historyMode = "auto"
	historyLogical  historyMode = "logical"
	historyTriggers historyMode = "triggers"
)

const (
	defaultSchema      = "dbos"
	defaultConnections = 16
	minConnections     = 8
	maxConnections     = 1000
	minWALLimit        = 64 << 20
	// connectTimeout bounds the making of a connection, for each host, unless
	// the URL says connect_timeout.
	connectTimeout = 10 * time.Second
	// maxSchema leaves room for the names that are made of the schema's.
	maxSchema = 48
)

// schemaPattern is what needs no quotes and also names a replication slot.
var schemaPattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// parseURL reads a connection URL.
func parseURL(text string) (*settings, error) {
	bad := func(what, format string, args ...any) error {
		return abi.Errorf("postgres.open", abi.Invalid, what, format, args...)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, abi.Errorf("postgres.open", abi.Invalid, "URL", "it cannot be read"). // err would show a password
													WithHint("write it as postgres://user@host:5432/database")
	}
	own := map[string]string{}
	query := u.Query()
	for name, values := range query {
		if strings.HasPrefix(name, "dbos_") {
			own[name] = values[len(values)-1]
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	s := &settings{url: text, schema: cmp.Or(own["dbos_schema"], defaultSchema)}
	if s.config, err = pgconn.ParseConfig(u.String()); err != nil {
		return nil, bad("URL", "%w", err)
	}
	if !schemaPattern.MatchString(s.schema) || len(s.schema) > maxSchema || strings.HasPrefix(s.schema, "pg_") {
		return nil, bad("URL parameter dbos_schema", "%q is not 1 to %d lower-case letters, digits and underscores beginning with a letter, other than pg_…", s.schema, maxSchema)
	}
	s.location = fmt.Sprintf("postgres://%s@%s/%s (schema %s)", url.PathEscape(s.config.User),
		net.JoinHostPort(s.config.Host, strconv.Itoa(int(s.config.Port))), url.PathEscape(s.config.Database), s.schema)
	return s, s.parseOwn(own, bad)
}

// parseOwn reads our own parameters.
func (s *settings) parseOwn(own map[string]string, bad func(what, format string, args ...any) error) error {
	s.history = historyMode(cmp.Or(own["dbos_history"], string(historyAuto)))
	if s.config.ConnectTimeout == 0 {
		s.config.ConnectTimeout = connectTimeout
	}
	s.direct = s.config
	s.connections, s.walLimit = defaultConnections, defaultWALLimit
	for name, value := range own {
		what := "URL parameter " + name
		switch name {
		case "dbos_schema":
		case "dbos_history":
			if s.history != historyAuto && s.history != historyLogical && s.history != historyTriggers {
				return bad(what, "%q is none of auto, logical, triggers", value)
			}
		case "dbos_pooler":
			if value != "none" && value != "transaction" {
				return bad(what, "%q is neither none nor transaction", value)
			}
			if s.pooled = value == "transaction"; s.pooled && own["dbos_direct"] == "" {
				s.direct = nil
			}
		case "dbos_direct":
			var err error
			if s.direct, err = pgconn.ParseConfig(value); err != nil {
				return bad(what, "%w", err)
			}
		case "dbos_connections":
			n, err := strconv.Atoi(value)
			if err != nil || n < minConnections || n > maxConnections {
				return bad(what, "%q is not a number from %d to %d", value, minConnections, maxConnections)
			}
			s.connections = n
		case "dbos_wal_limit":
			n, err := parseSize(value)
			if err != nil || n < minWALLimit {
				return bad(what, "%q is no size of at least 64MB, such as 512MB or 20GB", value)
			}
			s.walLimit = n
		default:
			return bad(what, "there is no such parameter; there are dbos_schema, dbos_history, dbos_pooler, dbos_direct, dbos_connections, dbos_wal_limit")
		}
	}
	return nil
}

// parseSize reads a number of bytes with one of the server's units.
func parseSize(text string) (int64, error) {
	for unit, factor := range map[string]int64{"MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40} {
		if digits, ok := strings.CutSuffix(text, unit); ok {
			n, err := strconv.ParseInt(digits, 10, 32)
			return n * factor, err
		}
	}
	return 0, strconv.ErrSyntax
}
