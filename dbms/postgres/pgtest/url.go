package pgtest

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// URL returns the URL of a DBOS system in the server: of the schema with that
// name. The parameters, "name=value", are added to it.
func (s *Server) URL(schema string, parameters ...string) string {
	u := *s.base
	query := u.Query()
	query.Set("dbos_schema", schema)
	u.RawQuery = with(query, parameters)
	return u.String()
}

// Admin returns the URL of the database itself, for its superuser and for
// programs that are not DBOS.
func (s *Server) Admin() string { return s.base.String() }

// Addr is the server's address on the loopback interface, "" without Loopback.
func (s *Server) Addr() string {
	if s.port == 0 {
		return ""
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

// Via is URL with other addresses in the server's place, tried in this order:
// of relays and poolers before it, or of several servers. Without a schema it is
// for programs that are not DBOS, as Admin.
func (s *Server) Via(addresses []string, schema string, parameters ...string) string {
	query := url.Values{"sslmode": {"disable"}}
	if schema != "" {
		query.Set("dbos_schema", schema)
	}
	u := url.URL{Scheme: "postgres", User: s.base.User, Host: strings.Join(addresses, ","), Path: s.base.Path}
	u.RawQuery = with(query, parameters)
	return u.String()
}

func with(query url.Values, parameters []string) string {
	for _, p := range parameters {
		name, value, _ := strings.Cut(p, "=")
		query.Set(name, value)
	}
	return query.Encode()
}
