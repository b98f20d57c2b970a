// Package dbms is Level 2: the transactional database under everything else,
// as a small seam over existing engines (dbms/sqlite today). It promises
// serializable transactions, an exact history of every change in commit
// order, and wake-ups on commit. The services' semantics live above this
// seam, so a new engine implements DB and Tx, passes dbms/dbmstest, and is
// done.
package dbms
