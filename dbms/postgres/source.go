package postgres

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A source is what the engine knows of a statement's text.
type source struct {
	text         string
	placeholders int
	defines      bool        // it may change definitions
	denied       *abi.Error  // if an application may not run it
	inferred     atomic.Bool // its parameters' types are left to the server
}

// sources keeps what was found out about texts.
type sources struct {
	mu     sync.RWMutex
	byText map[string]*source
}

// maxSources is how many texts are kept; then all are forgotten.
const maxSources = 4096

// source returns what is known of a query's text, or why it cannot be run.
func (db *DB) source(q *dbms.Query, text string) (*source, error) {
	s := db.sources.get(text)
	if s == nil {
		var err error
		if s, err = readSource(text); err != nil {
			return nil, err
		}
		if q.Name != dbms.SystemName {
			db.sources.put(s)
		}
	}
	if q.Application && s.denied != nil {
		return nil, s.denied
	}
	return s, nil
}

func (ss *sources) get(text string) *source {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	return ss.byText[text]
}

func (ss *sources) put(s *source) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.byText == nil || len(ss.byText) >= maxSources {
		ss.byText = map[string]*source{}
	}
	ss.byText[s.text] = s
}

// readSource looks at a statement's text.
func readSource(text string) (*source, error) {
	if at := strings.IndexByte(text, 0); at >= 0 {
		return nil, abi.Errorf("dbms.statement", abi.Invalid, "statement", "it has the character NUL at byte %d", at)
	}
	parts := statements(text)
	switch len(parts) {
	case 0:
		return nil, errEmpty
	case 1:
	default:
		return nil, abi.Errorf("dbms.statement", abi.Invalid, fmt.Sprintf("statement %q", shorten(text)), "it is %d statements", len(parts)).
			WithHint("run one at a time")
	}
	word := firstWord(text)
	s := &source{text: parts[0], placeholders: placeholders(text), defines: defines(word, text)}
	if why, hint := forbidden(word, text); why != "" {
		s.denied = abi.Errorf("dbms.statement", abi.Denied, fmt.Sprintf("statement %q", shorten(text)), "%s", why).WithHint("%s", hint)
	}
	return s, nil
}

// plainWords begin the statements that define nothing.
var plainWords = []string{"select", "insert", "update", "delete", "with", "values", "table", "merge", "explain", "show", "lock", "set", "savepoint", "release", "analyze"}

// defines reports whether a statement may change definitions.
func defines(word, text string) bool {
	if !slices.Contains(plainWords, word) {
		return true
	}
	if word != "select" && word != "with" && word != "explain" {
		return false
	}
	into, inserts, creates := false, false, false // SELECT … INTO makes a table
	scan(text, func(t token) bool {
		if t.kind == tokenWord {
			into = into || t.text == "into"
			inserts = inserts || t.text == "insert" || t.text == "merge"
			creates = creates || word == "explain" && t.text == "create"
		}
		return true
	})
	return into && !inserts || creates
}

// forbiddenWords begin statements that applications may not run, with what to
// do instead.
var forbiddenWords = map[string]string{
	"begin": endHint, "start": endHint, "commit": endHint, "end": endHint, "rollback": endHint, "abort": endHint,
	"savepoint": endHint, "release": endHint, "prepare": preparedHint, "execute": preparedHint, "deallocate": preparedHint,
	"set": sessionHint, "reset": sessionHint, "discard": sessionHint, "load": sessionHint, "lock": "transactions are serializable; no lock is needed",
	"listen": notifyHint, "unlisten": notifyHint, "notify": notifyHint, "copy": "insert rows with INSERT, many in one statement",
	"vacuum": outsideHint, "cluster": outsideHint, "checkpoint": outsideHint,
	"grant": outsideHint, "revoke": outsideHint, "security": outsideHint, "reassign": outsideHint, "import": outsideHint,
	"declare": cursorHint, "fetch": cursorHint, "move": cursorHint, "close": cursorHint,
}

const (
	endHint      = "return an error to roll back, nil to commit"
	preparedHint = "statements are prepared by themselves"
	sessionHint  = "sessions are shared; what a statement needs, write into it"
	notifyHint   = "use Tx.Notify and Watch"
	outsideHint  = "let an administrator do it, with psql"
	cursorHint   = "read the rows of a query one after the other; they are fetched in portions"
)

// forbiddenFunctions reach behind the engine.
var forbiddenFunctions = []string{
	"set_config", "pg_notify", "pg_terminate_backend", "pg_cancel_backend", "pg_logical_emit_message", "pg_sleep", "pg_sleep_for", "pg_sleep_until",
	"dblink", "dblink_exec", "lo_import", "lo_export", "setseed",
}

// roleChange finds what would leave the application's role, also inside the
// body of a function or of DO. It guards against mistakes: a program that
// puts the words together at run time gets around it, and runs in the same
// process anyway.
var roleChange = regexp.MustCompile(`(?i)\b(set|reset)\s+((local|session)\s+)?(role|authorization)\b|\bset_config\b`)

// outsideObjects are what CREATE, ALTER and DROP of an application may not
// name: they do not belong to the system's schema.
var outsideObjects = []string{"database", "role", "user", "group", "schema", "tablespace", "extension", "publication", "subscription",
	"server", "foreign", "event", "temp", "temporary", "unlogged", "system", "language", "policy", "access"}

// forbidden says why an application may not run a statement, and what it may,
// or "". What it does to tables is the server's to judge, by the role.
func forbidden(word, text string) (why, hint string) {
	if hint, ok := forbiddenWords[word]; ok {
		return strings.ToUpper(word) + " is the system's to do", hint
	}
	if roleChange.MatchString(text) {
		return "it changes the role under which it runs", "write what the application's role may do"
	}
	n, last := 0, token{}
	scan(text, func(t token) bool {
		name := t.text
		switch {
		case t.kind != tokenWord && t.kind != tokenName:
		case slices.Contains(forbiddenFunctions, name) || strings.HasPrefix(name, "pg_advisory_") || strings.HasPrefix(name, "pg_try_advisory_"):
			why, hint = "the function "+name+" reaches behind the transaction", sessionHint
		case name == "pg_temp" || word != "select" && name == "concurrently":
			why, hint = name+" reaches outside of the transaction", "leave it out"
		case word == "alter" && (name == "identity" && last.text == "replica" || name == "trigger" && (last.text == "disable" || last.text == "enable" || last.text == "always" || last.text == "replica")):
			why, hint = "history depends on the table's triggers and replica identity", "drop the trigger instead"
		case n == 1 && (word == "create" || word == "alter" || word == "drop") && slices.Contains(outsideObjects, name):
			why, hint = strings.ToUpper(word+" "+name)+" is outside of the application's tables", outsideHint
		case (last.text == "into" || word == "create" && n < 4) && (name == "temp" || name == "temporary" || name == "unlogged"):
			why, hint = name+" tables do not survive", "make an ordinary table, or use a common table expression (WITH …)"
		}
		n++
		last = t
		return why == ""
	})
	return why, hint
}
