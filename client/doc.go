// Package client speaks to a node through its door: the Unix socket in a data
// directory (see package server). It is what the dbos command is built on.
//
// The messages are those of proto/dbos/v1. Failures are *abi.Error with the
// kind, resource and hint that the node gave them, so that
//
//	errors.Is(err, abi.NotFound)
//
// holds on both sides of the door.
package client
