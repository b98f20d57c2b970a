package pgwire

import (
	"context"
	"maps"
	"slices"
	"strings"
)

// A runner runs a statement that the source knows nothing about.
type runner func(s *session, ctx context.Context, st *statement) (*result, error)

// commandOf returns what runs the statements about the session itself that begin
// with a word, or nil.
func commandOf(verb string) runner {
	switch verb {
	case "begin", "start":
		return (*session).beginBlock
	case "commit", "end":
		return (*session).commit
	case "rollback", "abort":
		return (*session).rollback
	case "savepoint", "release":
		return (*session).savepoint
	case "set":
		return (*session).runSet
	case "reset":
		return (*session).runReset
	case "show":
		return (*session).runShow
	case "discard":
		return (*session).discard
	case "deallocate":
		return (*session).deallocate
	case "declare":
		return (*session).declare
	case "fetch", "move":
		return (*session).fetch
	case "close":
		return (*session).closeCursor
	case "copy":
		return (*session).copyOut
	case "unlisten":
		return (*session).unlisten
	case "listen", "prepare", "execute":
		return unsupported
	}
	return nil
}

// unlisten does nothing: nobody listens.
func (s *session) unlisten(context.Context, *statement) (*result, error) {
	return command("UNLISTEN"), nil
}

func unsupported(_ *session, _ context.Context, st *statement) (*result, error) {
	return nil, failure("0A000", "%s is not supported here", strings.ToUpper(st.verb))
}

// command returns what runs a statement that the source knows nothing about,
// nil for one that is the source's.
func (s *session) command(st *statement) runner {
	if s.passes(st) {
		return nil
	}
	return commandOf(st.verb)
}

// passes reports whether a statement that begins like a command is the
// source's all the same: SHOW TABLES is DuckDB's.
func (s *session) passes(st *statement) bool {
	if st.verb != "show" {
		return false
	}
	name, ok := settingName(st.tokens[1:])
	if !ok {
		return true
	}
	_, known := s.show(name)
	return !known && !slices.Contains([]string{"all", ""}, name) && !strings.Contains(name, ".")
}

// commandFields are the columns that a command will return, nil for none.
func (s *session) commandFields(st *statement) ([]field, error) {
	switch st.verb {
	case "show":
		return s.showFields(st), nil
	case "fetch":
		name, _, err := fetchWords(st.tokens)
		if err != nil {
			return nil, err
		}
		c := s.cursors[name]
		if c == nil {
			return nil, failure("34000", "cursor %q does not exist", name)
		}
		return c.fields, nil
	}
	return nil, nil
}

func (s *session) showFields(st *statement) []field {
	name, _ := settingName(st.tokens[1:])
	names := []string{name}
	if name == "all" {
		names = []string{"name", "setting", "description"}
	}
	return table("", names).fields
}

// settingName reads the name of a setting: "timezone", TIME ZONE, dbos.at.
func settingName(tokens []token) (string, bool) {
	var words []string
	for _, t := range tokens {
		if t.kind != identToken && t.kind != quotedToken && !t.op(".") {
			return "", false
		}
		words = append(words, t.value+map[bool]string{true: "."}[t.op(".")])
	}
	name := strings.ToLower(strings.Join(words, " "))
	switch name {
	case "time zone":
		return "timezone", true
	case "transaction isolation level":
		return "transaction_isolation", true
	case "session authorization":
		return "session_authorization", true
	}
	name = strings.ReplaceAll(name, " . ", ".")
	return name, !strings.Contains(name, " ")
}

func (s *session) runShow(_ context.Context, st *statement) (*result, error) {
	name, _ := settingName(st.tokens[1:])
	fields := s.showFields(st)
	if name == "all" {
		f := &fixed{}
		for _, name := range slices.Sorted(maps.Keys(s.settings.values)) {
			value, _ := s.show(name)
			f.rows = append(f.rows, []any{name, value, ""})
		}
		return &result{fields: fields, rows: f, tag: "SHOW"}, nil
	}
	value, ok := s.show(name)
	if !ok {
		return nil, failure("42704", "unrecognized configuration parameter %q", name)
	}
	return &result{fields: fields, rows: &fixed{rows: [][]any{{value}}}, tag: "SHOW"}, nil
}

func (s *session) runSet(ctx context.Context, st *statement) (*result, error) {
	tokens, local := st.tokens[1:], false
	if len(tokens) > 0 && tokens[0].is("local", "session") {
		if local = tokens[0].is("local"); local || len(tokens) < 2 || !tokens[1].is("characteristics", "authorization") {
			tokens = tokens[1:]
		}
	}
	if len(tokens) == 0 {
		return nil, failure("42601", "syntax error at end of input")
	}
	switch {
	case tokens[0].is("transaction"), tokens[0].is("session") && len(tokens) > 1 && tokens[1].is("characteristics"):
		return s.setIsolation(tokens)
	case tokens[0].is("constraints"):
		return command("SET CONSTRAINTS"), nil
	case tokens[0].is("role"), tokens[0].is("session"):
		return command("SET"), nil // there is nothing that a role may or may not do here
	case tokens[0].is("names") && len(tokens) > 1:
		return command("SET"), s.set(ctx, "client_encoding", settingValue(tokens[1:]), local)
	}
	at := slices.IndexFunc(tokens, func(t token) bool { return t.op("=") || t.is("to") })
	end := at + 1
	if tokens[0].is("time") && len(tokens) > 2 && tokens[1].is("zone") {
		at, end = 2, 2
	}
	if at < 1 || end >= len(tokens) {
		return nil, failure("42601", "syntax error in SET; write SET name = value")
	}
	name, ok := settingName(tokens[:at])
	if !ok {
		return nil, failure("42601", "syntax error at or near %q", tokens[0].text)
	}
	if value := tokens[end]; len(tokens) == end+1 && value.is("default") {
		return command("SET"), s.reset(ctx, name)
	}
	return command("SET"), s.set(ctx, name, settingValue(tokens[end:]), local)
}

// settingValue returns a value, or several that commas part, as a setting has
// them.
func settingValue(tokens []token) string {
	var b strings.Builder
	for i, t := range tokens {
		switch {
		case t.op(","):
			b.WriteString(", ")
			continue
		case t.kind == opToken || t.kind == paramToken:
			b.WriteString(t.text)
			continue
		}
		if i > 0 && !tokens[i-1].op(",") && tokens[i-1].kind != opToken {
			b.WriteByte(' ')
		}
		if t.kind == identToken {
			b.WriteString(t.text)
		} else {
			b.WriteString(t.value)
		}
	}
	return b.String()
}

func (s *session) setIsolation(tokens []token) (*result, error) {
	level, ok, err := isolation(tokens)
	if err != nil {
		return nil, err
	}
	if ok {
		if tokens[0].is("transaction") {
			s.block.fixed = isFixed(level)
		} else {
			s.settings.values["default_transaction_isolation"] = level
		}
	}
	return command("SET"), nil
}

func (s *session) runReset(ctx context.Context, st *statement) (*result, error) {
	name, ok := settingName(st.tokens[1:])
	if !ok || name == "" {
		return nil, failure("42601", "syntax error in RESET; write RESET name")
	}
	if name == "all" {
		s.resetAll()
		return command("RESET"), nil
	}
	return command("RESET"), s.reset(ctx, name)
}

func (s *session) reset(ctx context.Context, name string) error {
	fresh := newSettings(s.endpoint.config)
	value, ok := fresh.values[name]
	if !ok {
		if _, ok := s.settings.values[name]; ok {
			delete(s.settings.values, name)
			return nil
		}
		return failure("42704", "unrecognized configuration parameter %q", name)
	}
	return s.set(ctx, name, value, false)
}

// resetAll gives all settings their first values.
func (s *session) resetAll() {
	old := s.settings.values
	s.settings = newSettings(s.endpoint.config)
	for _, name := range reported {
		if old[name] != s.settings.values[name] {
			s.report(name)
		}
	}
}

// discard forgets what the session has: DISCARD ALL is how pools hand a connection
// to the next.
func (s *session) discard(_ context.Context, st *statement) (*result, error) {
	what := ""
	if len(st.tokens) > 1 {
		what = st.tokens[1].value
	}
	switch what {
	case "all":
		if s.block.state != idle {
			return nil, failure("25001", "DISCARD ALL cannot run inside a transaction block")
		}
		s.resetAll()
		clear(s.statements)
		s.dropPortals()
	case "plans", "sequences", "temp", "temporary":
	default:
		return nil, failure("42601", "syntax error in DISCARD")
	}
	return command("DISCARD " + strings.ToUpper(what)), nil
}

func (s *session) deallocate(_ context.Context, st *statement) (*result, error) {
	last := st.tokens[len(st.tokens)-1]
	if last.is("all") {
		clear(s.statements)
		return command("DEALLOCATE ALL"), nil
	}
	if s.statements[last.value] == nil {
		return nil, failure("26000", "prepared statement %q does not exist", last.value)
	}
	delete(s.statements, last.value)
	return command("DEALLOCATE"), nil
}
