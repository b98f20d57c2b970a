// Package abi is the vocabulary that all levels of DBOS share: who calls
// (Principal), what is called (Call), and the one error shape (Error, Kind).
// It imports the standard library only, so that every level, and a client in
// another process, can speak it.
package abi
