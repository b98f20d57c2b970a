// Package pgwire serves SQL over a system's present and past by the PostgreSQL
// protocol, so that psql, Grafana, pgx, JDBC and whatever else speaks to
// PostgreSQL can ask a node:
//
//	endpoint, err := pgwire.Serve(pgwire.Of(sys), "127.0.0.1:5433")
//	…
//	defer endpoint.Close()
//
// The statements are of the warehouse's dialect, which is DuckDB's, and only
// read. What clients ask of PostgreSQL itself (its catalogs, its settings, its
// transactions) is answered here: the catalogs are relations that are computed
// from the warehouse's tables and put before a statement that names them.
//
//	SET dbos.at = '16 minutes ago'
//
// moves a session to a moment. The protocol is spoken with pgx's pgproto3, which
// gives messages and no opinions: docs/design/pgwire.md says why.
package pgwire
