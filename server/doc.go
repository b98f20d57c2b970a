// Package server is the door of a node: it serves the services of
// proto/dbos/v1 (runs, SQL, status) by Connect, gRPC and JSON on a Unix socket
// in the data directory, so that the dbos command and other processes of the
// same user can talk to the program that owns the directory.
//
//	sys, err := dbos.Open(ctx, "file:shop-data")
//	…
//	door, err := server.Serve(sys)
//	…
//	defer door.Close()
//
// A door translates and limits; what the calls mean is the SDK's, in the root
// package. Who calls is asked of the operating system and recorded with every
// transaction.
package server
