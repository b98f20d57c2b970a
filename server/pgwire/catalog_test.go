//go:build cgo

package pgwire_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestCatalogs asks what tools ask PostgreSQL when they connect and when they
// list what there is: Grafana, JDBC, DBeaver, SQLAlchemy, Metabase, psql's completion.
func TestCatalogs(t *testing.T) {
	conn := connect(t, serve(t, newShop(t)))
	for _, tt := range []struct{ sql, want string }{
		// Grafana.
		{"SELECT version()", "[[PostgreSQL 15.0 (DBOS, SQL of DuckDB)]]"},
		{"SELECT current_setting('server_version_num')::int/100 as version", "[[1500]]"},
		{"SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'", "[]"},
		{`SELECT CASE WHEN quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
			FROM (SELECT 1 AS i, ['main'] AS s) q) THEN quote_ident(table_name)
			ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
			FROM information_schema.tables
			WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', '_timescaledb_cache')
			ORDER BY 1`, `[["odd name"] [history.orders] [orders] [prov.calls]]`},
		{`SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
			WHERE table_name = 'calls' ORDER BY ordinal_position`,
			"[[lsn bigint] [at timestamp with time zone] [principal text] [procedure text]]"},
		// JDBC and DBeaver.
		{"SHOW TRANSACTION ISOLATION LEVEL", "[[read committed]]"},
		{"SELECT current_schema(), session_user", "[[main ada]]"},
		{"select current_user as u, current_database()", "[[ada shop]]"},
		{`SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME,
			CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM' WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' ELSE NULL END END AS TABLE_TYPE,
			d.description AS REMARKS
			FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c
			LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass)
			WHERE c.relnamespace = n.oid AND n.nspname LIKE 'prov' ORDER BY TABLE_TYPE, TABLE_SCHEM, TABLE_NAME`, "[[ prov calls TABLE ]]"},
		{"SELECT t.oid, t.typname, pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t WHERE t.typname = 'numeric'", "[[1700 numeric numeric]]"},
		{"SELECT count(*) > 20 FROM pg_type WHERE typtype = 'b' AND typelem = 0", "[[t]]"},
		{"SELECT db.oid > 0, db.datname FROM pg_catalog.pg_database db WHERE 1=1 AND datallowconn AND NOT datistemplate", "[[t shop]]"},
		{"SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' ORDER BY 1",
			"[[history] [information_schema] [main] [prov]]"},
		// SQLAlchemy.
		{"select pg_catalog.version()", "[[PostgreSQL 15.0 (DBOS, SQL of DuckDB)]]"},
		{"show standard_conforming_strings", "[[on]]"},
		{"SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_catalog.pg_attribute a " +
			"WHERE a.attrelid = 'orders'::regclass AND a.attnum IN (1, 4) ORDER BY a.attnum", "[[id bigint t] [price numeric(10,2) f]]"},
		{"SELECT relname FROM pg_class c WHERE pg_catalog.pg_table_is_visible(c.oid) AND c.relkind = ANY (ARRAY['r', 'p']) ORDER BY 1", "[[odd name] [orders]]"},
		// Metabase, and others by the standard.
		{"SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'pg_catalog') ORDER BY 1", "[[history] [main] [prov]]"},
		{"SELECT tables.table_name FROM information_schema.tables WHERE tables.table_schema = 'history'", "[[orders]]"},
		{"SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables USING (table_schema, table_name) " +
			"WHERE c.column_name = 'dbos_lsn' AND table_type = 'BASE TABLE'", "[[orders]]"},
		{"SELECT tablename FROM pg_tables WHERE schemaname = 'prov'", "[[calls]]"},
		{"SELECT setting FROM pg_settings WHERE name = 'dbos.at'", "[[now]]"},
		{"SELECT current_setting('dbos.' || 'at')", "[[now]]"},
		// psql's completion.
		{"SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'v') AND " +
			"substring(pg_catalog.quote_ident(c.relname),1,3)='ord' AND pg_catalog.pg_table_is_visible(c.oid)", "[[orders]]"},
		// Casts to and from what the catalogs hold.
		{"SELECT c.oid::regclass FROM pg_class c WHERE c.oid = 'prov.calls'::regclass", "[[calls]]"},
		{`SELECT to_regclass('nosuch') IS NULL, '"main"."orders"'::regclass = 'orders'::pg_catalog.regclass`, "[[t t]]"},
		{"SELECT 23::regtype, 'int8'::regtype::oid, CAST('text' AS regtype), 2200::regnamespace::text", "[[integer 20 25 main]]"},
		{"SELECT 'Hat' ~* 'HAT$', 'Hat' ~ 'hat', 'hats' !~ '^hat$', 'a.b' OPERATOR(pg_catalog.~) '^(a\\.b)$' COLLATE pg_catalog.default, version() ~ 'DuckDB'",
			"[[t f t t t]]"},
		{"WITH mine AS (SELECT relname FROM pg_class) SELECT count(*) FROM mine", "[[4]]"},
		{"WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 3) SELECT max(i), (SELECT count(*) FROM pg_policy) FROM r", "[[3 0]]"},
		// What only looks like a catalog is the source's.
		{"SELECT 'pg_catalog.pg_class', item AS version FROM orders WHERE id = 1 -- pg_class", "[[pg_catalog.pg_class item 1]]"},
	} {
		if got := fmt.Sprint(all(t, conn, tt.sql)); got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.sql, got, tt.want)
		}
	}
}

// TestCatalogNames has the names of columns that PostgreSQL gives.
func TestCatalogNames(t *testing.T) {
	conn := connect(t, serve(t, newShop(t)))
	for sql, want := range map[string]string{
		"SELECT version()": "[version]",
		"SELECT current_schema(), current_user, pg_backend_pid() > 0 AS x": "[current_schema current_user x]",
		"SELECT version() AS v, 'orders'::regclass FROM orders":            "[v regclass]",
		"SHOW TIME ZONE":        "[timezone]",
		"SELECT 1 AS a, 2 AS a": "[a a]",
	} {
		rows, err := conn.Query(t.Context(), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		var names []string
		for _, f := range rows.FieldDescriptions() {
			names = append(names, f.Name)
		}
		rows.Close()
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%s: the columns are %s, want %s", sql, got, want)
		}
	}
}

// TestEveryCatalog selects from each relation that PostgreSQL has.
func TestEveryCatalog(t *testing.T) {
	conn := connect(t, serve(t, newShop(t)))
	list, err := os.ReadFile("relations.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		words := strings.Fields(line)
		rows, err := conn.Query(t.Context(), "SELECT * FROM "+words[0]+" LIMIT 1")
		if err != nil {
			t.Errorf("%s: %v", words[0], err)
			continue
		}
		if n := len(rows.FieldDescriptions()); n != len(words)-1 {
			t.Errorf("%s has %d columns, want %d", words[0], n, len(words)-1)
		}
		rows.Close()
	}
}
