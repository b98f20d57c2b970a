package pgwire

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// serverVersion is the version of PostgreSQL whose catalogs clients find here.
const serverVersion = "15.0"

// versionText is what version() says.
const versionText = "PostgreSQL 15.0 (DBOS, SQL of DuckDB)"

// atSetting is the moment of a session.
const atSetting = "dbos.at"

// settings are what SET changes and SHOW shows.
type settings struct {
	values map[string]string
	// local are the values from before SET LOCAL, which come back with the
	// end of the transaction block.
	local    map[string]string
	location *time.Location // of times with a zone
	at       string         // the moment as the source reads it; "" is now
}

// defaults are the settings that clients look for. Most only exist: what they
// would change is not there.
var defaults = map[string]string{
	"application_name": "", "bytea_output": "hex", "check_function_bodies": "on", "client_encoding": "UTF8", "client_min_messages": "notice",
	"datestyle": "ISO, MDY", "default_tablespace": "", "default_text_search_config": "pg_catalog.simple", "default_transaction_deferrable": "off",
	"default_transaction_isolation": "read committed", "default_transaction_read_only": "on", "enable_seqscan": "on", "extra_float_digits": "1",
	"geqo": "on", "gin_fuzzy_search_limit": "0", "idle_in_transaction_session_timeout": "0", "idle_session_timeout": "0", "in_hot_standby": "off",
	"integer_datetimes": "on", "intervalstyle": "postgres", "is_superuser": "off", "jit": "off", "lc_collate": "C", "lc_ctype": "C", "lc_messages": "C",
	"lc_monetary": "C", "lc_numeric": "C", "lc_time": "C", "lock_timeout": "0", "max_identifier_length": "63", "max_index_keys": "32",
	"plan_cache_mode": "auto", "quote_all_identifiers": "off", "role": "none", "row_security": "on", "search_path": "main", "server_encoding": "UTF8",
	"server_version": serverVersion, "server_version_num": "150000", "session_authorization": "", "standard_conforming_strings": "on",
	"statement_timeout": "0", "synchronize_seqscans": "on", "synchronous_commit": "on", "timezone": "UTC", "transaction_deferrable": "off",
	"transaction_isolation": "read committed", "transaction_read_only": "on", "tcp_keepalives_idle": "0", "work_mem": "4MB", "xmloption": "content",
	"max_connections": "100", "shared_preload_libraries": "", "wal_level": "replica", "block_size": "8192", "log_statement": "none",
	"ssl": "off", "ssl_renegotiation_limit": "0", "escape_string_warning": "on", "backslash_quote": "safe_encoding", "array_nulls": "on",
	"transform_null_equals": "off", "client_connection_check_interval": "0", "statement_cache_size": "0",
	atSetting: "now",
}

// fixedSettings cannot be changed.
var fixedSettings = []string{
	"block_size", "in_hot_standby", "integer_datetimes", "is_superuser", "lc_collate", "lc_ctype", "max_connections", "max_identifier_length",
	"max_index_keys", "server_encoding", "server_version", "server_version_num", "shared_preload_libraries", "ssl", "wal_level",
}

// reported are told to the client when it connects and when they change, in
// the spelling that clients know.
var reported = []string{
	"application_name", "client_encoding", "datestyle", "default_transaction_read_only", "in_hot_standby", "integer_datetimes", "intervalstyle",
	"is_superuser", "server_encoding", "server_version", "session_authorization", "standard_conforming_strings", "timezone",
}

func reportedName(name string) string {
	switch name {
	case "datestyle":
		return "DateStyle"
	case "intervalstyle":
		return "IntervalStyle"
	case "timezone":
		return "TimeZone"
	}
	return name
}

func newSettings(c config) settings {
	values := maps.Clone(defaults)
	values["statement_timeout"] = durationSetting(c.statement)
	return settings{values: values, location: time.UTC}
}

// clone returns a copy that later changes leave alone.
func (s settings) clone() settings {
	s.values, s.local = maps.Clone(s.values), maps.Clone(s.local)
	return s
}

// statementTime is how long a statement may take; 0 is without end.
func (s settings) statementTime() time.Duration {
	d, _ := parseDuration(s.values["statement_timeout"])
	return d
}

func durationSetting(d time.Duration) string {
	switch {
	case d <= 0:
		return "0"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "min"
	case d%time.Second == 0:
		return strconv.Itoa(int(d/time.Second)) + "s"
	}
	return strconv.FormatInt(max(d.Milliseconds(), 1), 10) + "ms"
}

// parseDuration reads a time as PostgreSQL's settings have it: milliseconds, or
// with a unit.
func parseDuration(text string) (time.Duration, bool) {
	text = strings.TrimSpace(text)
	units := []struct {
		name string
		unit time.Duration
	}{{"ms", time.Millisecond}, {"us", time.Microsecond}, {"min", time.Minute}, {"s", time.Second}, {"h", time.Hour}, {"d", 24 * time.Hour}, {"", time.Millisecond}}
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
			if err == nil && n >= 0 && n*float64(u.unit) < 1<<62 {
				return time.Duration(n * float64(u.unit)), true
			}
		}
	}
	return 0, false
}

// startupSettings are the settings in the first message, those in "options"
// among them: -c name=value, --name=value.
func startupSettings(parameters map[string]string) map[string]string {
	set := map[string]string{}
	words := optionWords(parameters["options"])
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-c" && i+1 < len(words):
			i++
			word = words[i]
		case strings.HasPrefix(word, "--"):
			word = word[2:]
		case strings.HasPrefix(word, "-c"):
			word = word[2:]
		default:
			continue
		}
		if name, value, ok := strings.Cut(word, "="); ok {
			set[strings.ReplaceAll(name, "-", "_")] = value
		}
	}
	for name, value := range parameters {
		switch {
		case slices.Contains([]string{"user", "database", "options", "replication"}, name), strings.HasPrefix(name, "_pq_."):
		default:
			set[name] = value
		}
	}
	return set
}

// optionWords cuts a text at blanks that no backslash escapes.
func optionWords(text string) []string {
	var words []string
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case text[i] == ' ':
			if b.Len() > 0 {
				words = append(words, b.String())
				b.Reset()
			}
		default:
			b.WriteByte(text[i])
		}
	}
	if b.Len() > 0 {
		words = append(words, b.String())
	}
	return words
}

// show returns a setting.
func (s *session) show(name string) (string, bool) {
	name = strings.ToLower(name)
	switch name {
	case "session_authorization":
		return s.user, true
	case "transaction_isolation":
		if s.block.state != idle && s.block.fixed {
			return "repeatable read", true
		}
	}
	value, ok := s.settings.values[name]
	return value, ok
}

// set changes a setting, for the transaction block if local.
func (s *session) set(ctx context.Context, name, value string, local bool) error {
	name = strings.ToLower(name)
	if slices.Contains(fixedSettings, name) {
		return failure("55P02", "parameter %q cannot be changed", name)
	}
	old, known := s.settings.values[name]
	if !known && !strings.Contains(name, ".") {
		return failure("42704", "unrecognized configuration parameter %q", name)
	}
	if local && s.block.state == idle {
		return nil // nothing lasts that long
	}
	value, err := s.accept(ctx, name, value)
	if err != nil {
		return err
	}
	if _, ok := s.settings.local[name]; local && !ok {
		if s.settings.local == nil {
			s.settings.local = map[string]string{}
		}
		s.settings.local[name] = old
	}
	s.settings.values[name] = value
	s.report(name)
	return nil
}

// report tells the client of a setting that it wants to know.
func (s *session) report(name string) {
	if s.pid != 0 && slices.Contains(reported, name) {
		value, _ := s.show(name)
		s.wire.Send(&pgproto3.ParameterStatus{Name: reportedName(name), Value: value})
	}
}

// accept checks a setting's new value, does what it means, and returns it as
// it is shown.
func (s *session) accept(ctx context.Context, name, value string) (string, error) {
	invalid := func() (string, error) {
		return "", failure("22023", "invalid value for parameter %q: %q", name, value)
	}
	switch name {
	case atSetting:
		return s.acceptMoment(ctx, value)
	case "client_encoding":
		switch strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(strings.Trim(value, "'"))) {
		case "utf8", "unicode", "sqlascii", "":
			return "UTF8", nil
		}
		return "", failure("22023", "conversion between UTF8 and %s is not supported", value)
	case "datestyle":
		if style, _, _ := strings.Cut(strings.ToLower(value), ","); strings.TrimSpace(style) != "iso" {
			return "", failure("0A000", "times are written in the ISO style only, not as %q", value)
		}
		return "ISO, MDY", nil
	case "timezone":
		zone, ok := parseZone(value)
		if !ok {
			return invalid()
		}
		s.settings.location = zone
		return zone.String(), nil
	case "bytea_output", "intervalstyle", "standard_conforming_strings":
		if !strings.EqualFold(value, defaults[name]) {
			return "", failure("0A000", "parameter %q can only be %q", name, defaults[name])
		}
		return defaults[name], nil
	case "transaction_read_only", "default_transaction_read_only":
		switch strings.ToLower(value) {
		case "on", "true", "yes", "1":
			return "on", nil
		}
		return "", failure("25006", "cannot set transaction read-write mode: this endpoint only reads")
	case "default_transaction_isolation", "transaction_isolation":
		value = strings.ToLower(value)
		if !slices.Contains([]string{"serializable", "repeatable read", "read committed", "read uncommitted"}, value) {
			return invalid()
		}
	case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout":
		d, ok := parseDuration(value)
		if !ok {
			return invalid()
		}
		return durationSetting(d), nil
	}
	return value, nil
}

// parseZone reads a time zone: a name, or hours east of Greenwich.
func parseZone(value string) (*time.Location, bool) {
	if hours, err := strconv.ParseFloat(value, 64); err == nil {
		if hours < -24 || hours > 24 {
			return nil, false
		}
		return time.FixedZone(value, int(hours*3600)), true
	}
	if strings.EqualFold(value, "utc") || value == "" {
		return time.UTC, true
	}
	if strings.EqualFold(value, "local") {
		return time.Local, true
	}
	zone, err := time.LoadLocation(value)
	return zone, err == nil
}

// acceptMoment looks the moment up, so that it stays the same for all
// statements that follow, and an error comes at once.
func (s *session) acceptMoment(ctx context.Context, text string) (string, error) {
	if text = strings.TrimSpace(text); text == "" || strings.EqualFold(text, "now") {
		s.settings.at = ""
		return "now", nil
	}
	m, err := s.source.Moment(ctx, text)
	if err != nil {
		return "", err
	}
	s.settings.at = lsnText(m)
	return text + " (" + s.settings.at + ")", nil
}

func lsnText(m Moment) string { return "LSN " + strconv.FormatInt(int64(m.LSN), 10) }
