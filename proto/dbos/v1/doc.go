// Package dbosv1 is the vocabulary of the door, version 1: the protobuf
// messages that a node and its clients exchange, generated from the .proto
// files beside it, and the conversion of SQL values to and from them. The
// services over these messages are in dbosv1connect.
//
// A field or number is only ever added, so that an older client understands a
// newer node.
package dbosv1

//go:generate go run -C ../.. github.com/bufbuild/buf/cmd/buf@v1.50.0 lint
//go:generate go run -C ../.. github.com/bufbuild/buf/cmd/buf@v1.50.0 generate
