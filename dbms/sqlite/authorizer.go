package sqlite

import (
	"fmt"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
)

// reserved are the prefixes of table names that belong to DBOS. Applications
// may read such tables, and only read them.
var reserved = []string{"dbos_", "h_", "sched_", "wf_", "ipc_", "fs_", "auth_", "prov_", "sqlite_"}

func isReserved(table string) bool {
	lower := strings.ToLower(table)
	return slices.ContainsFunc(reserved, func(p string) bool { return strings.HasPrefix(lower, p) })
}

// readPragmas are what applications may ask of the engine.
var readPragmas = []string{
	"table_info", "table_xinfo", "table_list", "index_list", "index_info",
	"index_xinfo", "foreign_key_list", "foreign_key_check", "data_version",
	"quick_check", "integrity_check", // SQLite runs the first itself in ALTER TABLE
}

// ddl is a change of a definition that a statement will make.
type ddl struct {
	op    sqlite.OpType
	table string
}

// An authorizer is asked by SQLite about everything a statement does while
// the statement is compiled. It notes the writes and, for an application's
// statement, denies what applications may not do.
type authorizer struct {
	app    bool
	writes bool
	ddl    []ddl
	denied string // why, if it denied
	hint   string
}

// begin prepares for a statement with or without an application's limits.
func (a *authorizer) begin(app bool) {
	*a = authorizer{app: app}
}

// Authorize implements sqlite.Authorizer.
func (a *authorizer) Authorize(action sqlite.Action) sqlite.AuthResult {
	switch op := action.Type(); op {
	case sqlite.OpInsert, sqlite.OpUpdate, sqlite.OpDelete:
		a.writes = true
	case sqlite.OpCreateTable, sqlite.OpDropTable, sqlite.OpAlterTable,
		sqlite.OpCreateTrigger, sqlite.OpCreateVTable, sqlite.OpDropVTable:
		a.writes = true
		a.ddl = append(a.ddl, ddl{op, action.Table()})
	case sqlite.OpCreateIndex, sqlite.OpDropIndex, sqlite.OpCreateView, sqlite.OpDropView,
		sqlite.OpDropTrigger, sqlite.OpReindex, sqlite.OpAnalyze:
		a.writes = true
	}
	if !a.app || a.denied != "" {
		return sqlite.AuthResultOK
	}
	if a.dropsWith(action) {
		return sqlite.AuthResultOK
	}
	a.denied, a.hint = forbidden(action)
	if a.denied != "" {
		return sqlite.AuthResultDeny
	}
	return sqlite.AuthResultOK
}

// dropsWith reports whether SQLite drops a trigger together with its table,
// as part of a DROP TABLE that was allowed.
func (a *authorizer) dropsWith(action sqlite.Action) bool {
	return action.Type() == sqlite.OpDropTrigger &&
		slices.Contains(a.ddl, ddl{sqlite.OpDropTable, action.Table()})
}

// forbidden says why an application may not do this, and what it may, or "".
func forbidden(action sqlite.Action) (why, hint string) {
	const systemTable = "applications may read system tables but not change them; call the service instead"
	table := action.Table()
	switch op := action.Type(); op {
	case sqlite.OpInsert, sqlite.OpUpdate, sqlite.OpDelete:
		if isReserved(table) && !ownWork(action) {
			return fmt.Sprintf("table %s belongs to the system", table), systemTable
		}
	case sqlite.OpCreateTable, sqlite.OpDropTable, sqlite.OpAlterTable, sqlite.OpCreateVTable,
		sqlite.OpDropVTable, sqlite.OpCreateIndex, sqlite.OpDropIndex, sqlite.OpCreateTrigger, sqlite.OpDropTrigger:
		return forbiddenName(table, action.Trigger())
	case sqlite.OpCreateView, sqlite.OpDropView:
		return forbiddenName(action.View())
	case sqlite.OpCreateTempTable, sqlite.OpCreateTempIndex, sqlite.OpCreateTempTrigger, sqlite.OpCreateTempView:
		return "temporary objects do not belong to a transaction", "use a common table expression (WITH …)"
	case sqlite.OpTransaction, sqlite.OpSavepoint:
		return "the transaction is already open and ends with its function", "return an error to roll back, nil to commit"
	case sqlite.OpAttach, sqlite.OpDetach:
		return "other databases cannot be attached", "open them as a second system"
	case sqlite.OpPragma:
		if !slices.Contains(readPragmas, strings.ToLower(action.Pragma())) {
			return fmt.Sprintf("PRAGMA %s belongs to the system", action.Pragma()), "the allowed ones are " + strings.Join(readPragmas, ", ")
		}
	}
	return "", ""
}

// forbiddenName says that one of the names is reserved, if so.
func forbiddenName(names ...string) (why, hint string) {
	for _, name := range names {
		if isReserved(name) && name != "sqlite_sequence" { // that is made by AUTOINCREMENT
			return fmt.Sprintf("the name %s is the system's", name),
				"names beginning with " + strings.Join(reserved, ", ") + " are reserved; choose another"
		}
	}
	return "", ""
}

// ownWork reports whether SQLite or a history trigger writes, as part of a
// statement that is itself allowed.
func ownWork(action sqlite.Action) bool {
	if isHistoryTrigger(action.Accessor()) {
		return true
	}
	table := strings.ToLower(action.Table())
	return strings.HasPrefix(table, "sqlite_") // the schema, in DDL; SQLite guards it itself
}
