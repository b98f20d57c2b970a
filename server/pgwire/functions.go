package pgwire

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A template writes a call of one of PostgreSQL's functions, whose arguments are
// SQL, as DuckDB can run it.
type template func(r *rewriter, args []string) string

// always is a function whose value does not depend on its arguments.
func always(sql string) template { return func(*rewriter, []string) string { return sql } }

const (
	noText = "CAST(NULL AS VARCHAR)"
	noSize = "CAST(0 AS BIGINT)"
)

// functions are those of PostgreSQL's that DuckDB does not have, or that answer
// for DuckDB there.
var functions = map[string]template{
	"version":                            always("'" + versionText + "'"),
	"pg_get_userbyid":                    func(r *rewriter, _ []string) string { return literal(r.s.user) },
	"current_database":                   func(r *rewriter, _ []string) string { return literal(r.s.database) },
	"current_catalog":                    func(r *rewriter, _ []string) string { return literal(r.s.database) },
	"current_schema":                     always("'main'"),
	"current_schemas":                    currentSchemas,
	"current_setting":                    currentSetting,
	"set_config":                         func(_ *rewriter, args []string) string { return argument(args, 1) },
	"pg_backend_pid":                     func(r *rewriter, _ []string) string { return fmt.Sprint(r.s.pid) },
	"format_type":                        formatTypeCall,
	"pg_table_is_visible":                visible,
	"pg_type_is_visible":                 always("true"),
	"pg_function_is_visible":             always("true"),
	"pg_opclass_is_visible":              always("true"),
	"pg_operator_is_visible":             always("true"),
	"pg_collation_is_visible":            always("true"),
	"pg_conversion_is_visible":           always("true"),
	"pg_statistics_obj_is_visible":       always("true"),
	"pg_ts_config_is_visible":            always("true"),
	"pg_ts_dict_is_visible":              always("true"),
	"pg_ts_parser_is_visible":            always("true"),
	"pg_ts_template_is_visible":          always("true"),
	"pg_is_other_temp_schema":            always("false"),
	"pg_my_temp_schema":                  always("CAST(0 AS BIGINT)"),
	"pg_get_expr":                        always(noText),
	"pg_get_viewdef":                     always(noText),
	"pg_get_indexdef":                    always(noText),
	"pg_get_constraintdef":               always(noText),
	"pg_get_triggerdef":                  always(noText),
	"pg_get_ruledef":                     always(noText),
	"pg_get_partkeydef":                  always(noText),
	"pg_get_functiondef":                 always(noText),
	"pg_get_function_result":             always(noText),
	"pg_get_function_arguments":          always(noText),
	"pg_get_function_identity_arguments": always(noText),
	"pg_get_function_sqlbody":            always(noText),
	"pg_get_statisticsobjdef_columns":    always(noText),
	"pg_get_statisticsobjdef":            always(noText),
	"pg_get_serial_sequence":             always(noText),
	"obj_description":                    always(noText),
	"col_description":                    always(noText),
	"shobj_description":                  always(noText),
	"pg_tablespace_location":             always("''"),
	"pg_encoding_to_char":                always("'UTF8'"),
	"pg_char_to_encoding":                always("6"),
	"pg_client_encoding":                 always("'UTF8'"),
	"getdatabaseencoding":                always("'UTF8'"),
	"pg_relation_is_publishable":         always("false"),
	"pg_relation_size":                   always(noSize),
	"pg_total_relation_size":             always(noSize),
	"pg_table_size":                      always(noSize),
	"pg_indexes_size":                    always(noSize),
	"pg_database_size":                   always(noSize),
	"pg_tablespace_size":                 always(noSize),
	"pg_size_pretty":                     func(_ *rewriter, args []string) string { return "format_bytes(" + argument(args, 0) + ")" },
	"pg_stat_get_numscans":               always(noSize),
	"pg_is_in_recovery":                  always("false"),
	"pg_is_wal_replay_paused":            always("false"),
	"pg_jit_available":                   always("false"),
	"pg_postmaster_start_time":           always("now()"),
	"pg_conf_load_time":                  always("now()"),
	"pg_has_role":                        always("true"),
	"has_table_privilege":                always("true"),
	"has_any_column_privilege":           always("true"),
	"has_column_privilege":               always("true"),
	"has_schema_privilege":               always("true"),
	"has_database_privilege":             always("true"),
	"has_function_privilege":             always("true"),
	"has_sequence_privilege":             always("true"),
	"has_tablespace_privilege":           always("true"),
	"row_security_active":                always("false"),
	"inet_server_addr":                   always(noText),
	"inet_client_addr":                   always(noText),
	"inet_server_port":                   always("CAST(NULL AS INTEGER)"),
	"inet_client_port":                   always("CAST(NULL AS INTEGER)"),
	"txid_current":                       always(noSize),
	"pg_current_xact_id":                 always(noSize),
	"quote_ident":                        quoteIdent,
	"quote_literal":                      func(_ *rewriter, args []string) string { return quoteLiteral(argument(args, 0)) },
	"to_regclass":                        func(r *rewriter, args []string) string { return r.relationNumber(argument(args, 0)) },
	"to_regtype":                         func(_ *rewriter, args []string) string { return typeNumber(argument(args, 0)) },
	"array_upper":                        func(_ *rewriter, args []string) string { return "len(" + argument(args, 0) + ")" },
	"array_length":                       func(_ *rewriter, args []string) string { return "len(" + argument(args, 0) + ")" },
	"array_lower":                        always("1"),
	"pg_get_keywords": always("(SELECT keyword_name AS word, 'U' AS catcode, 'unreserved' AS catdesc FROM duckdb_keywords() " +
		"WHERE keyword_category = 'unreserved')"),
}

// userWords are functions that are written without parentheses.
var userWords = []string{"current_user", "session_user", "current_role"}

// argument returns an argument, or NULL if there are not so many.
func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return "NULL"
}

func currentSchemas(_ *rewriter, args []string) string {
	if strings.TrimSpace(strings.ToLower(argument(args, 0))) == "true" {
		return "['pg_catalog', 'main']"
	}
	return "['main']"
}

// currentSetting is evaluated here: the settings are the session's, not DuckDB's.
func currentSetting(r *rewriter, args []string) string {
	list := lex(argument(args, 0))
	if len(list) != 1 || list[0].kind != stringToken {
		r.used["pg_settings"] = true
		return "(SELECT k.setting FROM pg_settings k WHERE k.name = lower(" + argument(args, 0) + "))"
	}
	value, ok := r.s.show(list[0].value)
	switch {
	case ok:
		return literal(value)
	case len(args) < 2:
		r.err = failure("42704", "unrecognized configuration parameter %q", list[0].value)
	}
	return noText
}

func visible(_ *rewriter, args []string) string {
	return fmt.Sprintf("(CAST(%s AS BIGINT) < %d)", argument(args, 0), otherSchemas)
}

func formatTypeCall(_ *rewriter, args []string) string {
	var names strings.Builder
	for _, oid := range slices.Sorted(maps.Keys(baseTypes)) {
		fmt.Fprintf(&names, " WHEN %d THEN %s", oid, literal(formatType(oid, -1)))
		if array := baseTypes[oid].array; array != 0 {
			fmt.Fprintf(&names, " WHEN %d THEN %s", array, literal(formatType(array, -1)))
		}
	}
	oid, mod := argument(args, 0), argument(args, 1)
	return fmt.Sprintf("(CASE WHEN (%[1]s) = 1700 AND (%[2]s) > 4 THEN printf('numeric(%%d,%%d)', ((%[2]s) - 4) >> 16, ((%[2]s) - 4) & 65535) "+
		"ELSE CASE (%[1]s)%[3]s ELSE '???' END END)", oid, mod, names.String())
}

func quoteIdent(_ *rewriter, args []string) string {
	return fmt.Sprintf(`(CASE WHEN regexp_full_match(%[1]s, '[a-z_][a-z0-9_]*') THEN %[1]s ELSE '"' || replace(%[1]s, '"', '""') || '"' END)`, argument(args, 0))
}

func quoteLiteral(sql string) string {
	return fmt.Sprintf(`('''' || replace(CAST(%s AS VARCHAR), '''', '''''') || '''')`, sql)
}

// typeNumber is the OID of a type that is named by a text.
func typeNumber(sql string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(CASE lower(%s)", sql)
	for _, oid := range slices.Sorted(maps.Keys(baseTypes)) {
		t := baseTypes[oid]
		fmt.Fprintf(&b, " WHEN %s THEN %d", literal(t.name), oid)
		if t.sql != t.name {
			fmt.Fprintf(&b, " WHEN %s THEN %d", literal(t.sql), oid)
		}
	}
	b.WriteString(" END)")
	return b.String()
}

// typeName is the name of a type with an OID.
func typeName(sql string) string { return formatTypeCall(nil, []string{sql, "-1"}) }
