// Package pgtest starts temporary PostgreSQL servers for the tests of Level 2
// and of what stands on it, from the programs that are installed on the
// machine. Tests need nothing prepared:
//
//	url := pgtest.Need(t).URL(pgtest.Schema(t))
//
// One server serves all tests of a process, each in schemas of its own, and
// dies with the process, however that ends. A test that harms its server
// (stops it, promotes its standby) starts one for itself with Start.
//
// Tests run on a server of the developer's choice instead if the environment
// variable DBOS_TEST_POSTGRES has its URL; child processes of a test learn
// their parent's server by it.
package pgtest
