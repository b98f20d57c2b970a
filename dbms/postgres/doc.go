// Package postgres is the engine of Level 2 for many machines: dbms.DB on
// PostgreSQL and databases that speak its protocol. It keeps no state of its
// own but connections: any node may take over any other's work.
//
// Transactions are SERIALIZABLE and run again after a conflict. Each commit
// takes a ticket as its LSN under a shared lock, which costs little; whoever
// needs to know exactly which commits a snapshot holds takes the same lock
// exclusively for a moment (a barrier). docs/design/postgres.md says why.
package postgres
