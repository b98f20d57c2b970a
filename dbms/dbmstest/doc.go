// Package dbmstest is the examiner of Level 2: the contract of dbms.DB and
// dbms.Tx as tests, which every engine must pass. An engine's own test file
// needs little more than
//
//	func TestMain(m *testing.M) { dbmstest.Main(m, engine) }
//	func TestExaminer(t *testing.T) { dbmstest.Examine(t, engine) }
//
// Main is there because an examined process is killed and starved of disk
// space, so part of the examination runs in child processes of the test
// binary. What engines do differently in SQL is in Dialect.
//
// The package also keeps the services honest: Prepare compiles a service's
// queries on an engine.
package dbmstest
