// Package warehouse keeps the history of a database in a column store, so that
// every question about the past is one SQL query.
//
// It is Level 2, beside the engines: it reads what an engine has recorded
// (dbms.DB.Changes) and writes it into DuckDB, one typed table for each table of
// the database, with the interval of LSNs in which each version of a row was
// valid. A moment is then a filter on two columns. It knows nothing of services or
// applications: all tables are the same to it.
//
// What is in it is written by Spool, exactly once whatever crashes: the position
// in the database's history is part of the transaction that adds what was read up
// to it. Sealed Parquet segments beside the file are the archive from which it can be
// made again.
//
// DuckDB is a C++ library. In a build without cgo the same functions exist, and
// Open says with abi.Unsupported what is missing.
package warehouse
