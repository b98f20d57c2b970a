package pgwire

import (
	"context"
	"slices"
	"strings"
)

// The states of a session's transaction block, as the protocol calls them.
type blockState byte

const (
	idle        blockState = 'I'
	inBlock     blockState = 'T'
	failedBlock blockState = 'E'
)

// A block is a transaction block. Nothing is written in one, so that it only
// says which moment statements read: each its own, as with READ COMMITTED, or
// all that of the first one, as with REPEATABLE READ.
type block struct {
	state blockState
	// fixed says that all statements read one moment, and at is that one, once there
	// was a statement.
	fixed      bool
	at         string
	before     settings // to go back to
	savepoints []string
}

// moment returns the moment that the next statement reads.
func (s *session) moment(ctx context.Context) (string, error) {
	if s.settings.at != "" || s.block.state != inBlock || !s.block.fixed {
		return s.settings.at, nil
	}
	if s.block.at == "" {
		m, err := s.source.Moment(ctx, "now")
		if err != nil {
			return "", err
		}
		s.block.at = lsnText(m)
	}
	return s.block.at, nil
}

// endsBlock reports whether the statement may come in a block that has
// failed.
func (st *statement) endsBlock() bool {
	switch st.verb {
	case "commit", "end", "rollback", "abort":
		return true
	}
	return false
}

func (s *session) beginBlock(_ context.Context, st *statement) (*result, error) {
	tag := strings.ToUpper(st.verb)
	if tag == "START" {
		tag = "START TRANSACTION"
	}
	fixed := s.settings.values["default_transaction_isolation"]
	if level, ok, err := isolation(st.tokens); err != nil {
		return nil, err
	} else if ok {
		fixed = level
	}
	if s.block.state == idle {
		s.block = block{state: inBlock, before: s.settings.clone(), fixed: isFixed(fixed)}
	}
	return command(tag), nil
}

func isFixed(level string) bool {
	return level == "repeatable read" || level == "serializable"
}

// isolation returns the level that a statement names.
func isolation(tokens []token) (level string, ok bool, err error) {
	for i, t := range tokens {
		if t.is("level") && i+1 < len(tokens) {
			level = tokens[i+1].value
			if (level == "repeatable" || level == "read") && i+2 < len(tokens) {
				level += " " + tokens[i+2].value
			}
			ok = true
		}
		if t.is("write") && i > 0 && tokens[i-1].is("read") {
			return "", false, failure("25006", "cannot set transaction read-write mode: this endpoint only reads")
		}
	}
	return level, ok, nil
}

func (s *session) commit(_ context.Context, st *statement) (*result, error) {
	if s.block.state == failedBlock {
		s.endBlock(true)
		return command("ROLLBACK"), nil
	}
	s.endBlock(false)
	return command("COMMIT"), nil
}

func (s *session) rollback(_ context.Context, st *statement) (*result, error) {
	if i := slices.IndexFunc(st.tokens, func(t token) bool { return t.is("to") }); i >= 0 {
		name := st.tokens[len(st.tokens)-1].value
		n := slices.Index(s.block.savepoints, name)
		if s.block.state == idle || n < 0 {
			return nil, failure("3B001", "savepoint %q does not exist", name)
		}
		s.block.savepoints = s.block.savepoints[:n+1]
		s.block.state = inBlock
		return command("ROLLBACK"), nil
	}
	s.endBlock(true)
	return command("ROLLBACK"), nil
}

// endBlock ends the transaction block and what lives in it. The settings that
// it made for itself go back; all of them, if it is rolled back.
func (s *session) endBlock(back bool) {
	if s.block.state != idle {
		old := s.settings.values
		if back {
			s.settings = s.block.before
		} else {
			s.settings = s.settings.clone()
			for name, value := range s.settings.local {
				s.settings.restore(name, value)
			}
		}
		s.settings.local = nil
		for _, name := range reported {
			if old[name] != s.settings.values[name] {
				s.report(name)
			}
		}
	}
	s.block = block{state: idle}
	s.dropPortals()
}

// restore sets a value that was accepted before.
func (s *settings) restore(name, value string) {
	s.values[name] = value
	switch name {
	case "timezone":
		if zone, ok := parseZone(value); ok {
			s.location = zone
		}
	case atSetting:
		s.at = ""
		if i := strings.LastIndex(value, "(LSN "); i >= 0 {
			s.at = strings.TrimSuffix(value[i+1:], ")")
		}
	}
}

func (s *session) savepoint(_ context.Context, st *statement) (*result, error) {
	if s.block.state == idle {
		return nil, failure("25P01", "%s can only be used in transaction blocks", strings.ToUpper(st.verb))
	}
	name := st.tokens[len(st.tokens)-1].value
	if st.verb == "savepoint" {
		s.block.savepoints = append(s.block.savepoints, name)
		return command("SAVEPOINT"), nil
	}
	n := slices.Index(s.block.savepoints, name)
	if n < 0 {
		return nil, failure("3B001", "savepoint %q does not exist", name)
	}
	s.block.savepoints = s.block.savepoints[:n]
	return command("RELEASE"), nil
}
