//go:build cgo

package warehouse

import (
	"context"
	"regexp"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"github.com/dbos-go/dbos/abi"
)

// A query must not change anything, and must not reach out of the store. Three things see to it: the
// store itself, which after its opening touches no files but its own; the transaction, which is
// one that only reads; and the check here, which looks at the statement as the store's own
// parser reads it. It lets one SELECT pass, and in it only those functions
// that give rows which are known to do nothing else.

// rowFunctions are the functions that may stand after FROM, besides the macros
// of tables.
var rowFunctions = map[string]bool{"range": true, "generate_series": true, "unnest": true, "repeat": true, "repeat_row": true, "json_each": true, "json_tree": true,
	"summary": true, "histogram": true, "histogram_values": true, "pragma_table_info": true, "pragma_version": true, "pragma_show": true,
	"duckdb_columns": true, "duckdb_tables": true, "duckdb_views": true, "duckdb_schemas": true, "duckdb_databases": true, "duckdb_types": true,
	"duckdb_functions": true, "duckdb_keywords": true, "duckdb_constraints": true, "duckdb_indexes": true, "duckdb_sequences": true, "duckdb_dependencies": true,
	"pg_timezone_names": true, "icu_calendar_names": true, "pragma_collations": true, "pragma_database_size": true, "test_all_types": true}

// deniedFunctions are functions of values that do something.
var deniedFunctions = map[string]bool{"write_log": true, "nextval": true, "setseed": true, "json_execute_serialized_sql": true, "query": true, "query_table": true}

var explainPrefix = regexp.MustCompile(`(?is)^\s*explain\s+(analyze\s+)?(\([^()]*\)\s*)?`)

// checkStatement refuses what is not one SELECT, or an EXPLAIN of one.
func checkStatement(ctx context.Context, s *session, text string) (explain bool, err error) {
	tree, err := parse(ctx, s, text)
	if err != nil {
		return false, err
	}
	if tree == nil {
		prefix := explainPrefix.FindString(text)
		if prefix != "" {
			explain = true
			if tree, err = parse(ctx, s, text[len(prefix):]); err != nil {
				return false, err
			}
		}
		if tree == nil {
			return false, refuse(s, text)
		}
	}
	statements, _ := tree["statements"].([]any)
	if len(statements) != 1 {
		return false, abi.Errorf("warehouse.query", abi.Invalid, "statement", "there are %d, one at a time is asked", len(statements))
	}
	return explain, checkTree(statements[0])
}

// parse returns the tree that the store's parser makes of a SELECT, nil if it is none.
func parse(ctx context.Context, s *session, text string) (map[string]any, error) {
	row, err := s.one(ctx, "SELECT json_serialize_sql($1::VARCHAR)", text)
	if err != nil {
		return nil, err
	}
	tree, ok := row[0].(map[string]any)
	if !ok {
		return nil, abi.Errorf("warehouse.query", abi.Invalid, "statement", "it cannot be read")
	}
	if failed, _ := tree["error"].(bool); failed {
		return nil, nil
	}
	return tree, nil
}

// refuse says why a statement is none that can be run. It prepares it, which runs nothing, to have the
// store's own words for a mistake.
func refuse(s *session, text string) error {
	stmt, err := s.Prepare(text)
	if err != nil {
		if strings.Contains(err.Error(), "Error:") {
			return abi.Errorf("warehouse.query", abi.Invalid, "", "%w", err)
		}
		if strings.TrimSpace(strings.Trim(text, "; \t\r\n")) == "" {
			return abi.Errorf("warehouse.query", abi.Invalid, "statement", "it is empty")
		}
		return abi.Errorf("warehouse.query", abi.Invalid, "statement", "one at a time is asked")
	}
	defer stmt.Close()
	what := "it"
	if kind, err := stmt.(*duckdb.Stmt).StatementType(); err == nil {
		what = statementName(kind)
	}
	return abi.Errorf("warehouse.query", abi.Denied, "statement", "history can only be read, and this is %s", what).
		WithHint("ask with SELECT; change live tables with `dbos sql --write`")
}

func statementName(kind duckdb.StmtType) string {
	switch kind {
	case duckdb.STATEMENT_TYPE_INSERT:
		return "an INSERT"
	case duckdb.STATEMENT_TYPE_UPDATE:
		return "an UPDATE"
	case duckdb.STATEMENT_TYPE_DELETE:
		return "a DELETE"
	case duckdb.STATEMENT_TYPE_CREATE:
		return "a CREATE"
	case duckdb.STATEMENT_TYPE_DROP:
		return "a DROP"
	case duckdb.STATEMENT_TYPE_COPY, duckdb.STATEMENT_TYPE_EXPORT, duckdb.STATEMENT_TYPE_ATTACH, duckdb.STATEMENT_TYPE_LOAD:
		return "about files"
	}
	return "no SELECT"
}

// checkTree walks a parsed statement.
func checkTree(node any) error {
	switch x := node.(type) {
	case []any:
		for _, n := range x {
			if err := checkTree(n); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := checkNode(x); err != nil {
			return err
		}
		for _, n := range x {
			if err := checkTree(n); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkNode(node map[string]any) error {
	denied := func(what string) error {
		return abi.Errorf("warehouse.query", abi.Denied, what, "a query of history cannot use it").
			WithHint("ask tables, history.* and prov.*; files and the store's own functions are out of reach")
	}
	switch node["type"] {
	case "TABLE_FUNCTION":
		f, _ := node["function"].(map[string]any)
		name, _ := f["function_name"].(string)
		if !rowFunctions[strings.ToLower(name)] && !strings.HasSuffix(strings.ToLower(name), "_at") {
			return denied("function " + name)
		}
	case "BASE_TABLE":
		// The store takes the name of a file for a table.
		name, _ := node["table_name"].(string)
		schema, _ := node["schema_name"].(string)
		if schema == "" && fileLike.MatchString(name) {
			return denied("file " + name)
		}
	case "FUNCTION":
		name, _ := node["function_name"].(string)
		if deniedFunctions[strings.ToLower(name)] {
			return denied("function " + name)
		}
	}
	return nil
}

var fileLike = regexp.MustCompile(`(?i)(/|\\|://|\.(parquet|csv|tsv|json|jsonl|ndjson|db|duckdb|gz|zst|txt)$)`)
