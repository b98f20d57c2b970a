// Package prov is provenance and time travel: an OS service over the
// database's history. It keeps the column store (package warehouse) up to date
// in the background, resolves what people call a moment to an LSN, moves a scratch
// copy of the database to any of them (Machine), makes a new system as of one
// (Fork), and puts the tables of this one back (Restore).
//
// Its own tables are provenance too: the texts of statements (prov_text), what
// was read outside of transactions (prov_view), which warehouses there are
// (prov_warehouse), and what has been undone (prov_undo). They are never put back.
package prov
