package client

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"github.com/dbos-go/dbos/abi"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/proto/dbos/v1/dbosv1connect"
)

// maxMessage bounds what a node can make a client hold in memory.
const maxMessage = 64 << 20

// A Client calls one node. All methods may be called from any goroutine; they
// end with abi.Canceled or abi.Timeout when their context does, and the node
// then stops working for them.
type Client struct {
	transport *http.Transport
	ready     <-chan net.Conn // made and not yet used; nil if there is none
	runs      dbosv1connect.RunServiceClient
	sql       dbosv1connect.SqlServiceClient
	node      dbosv1connect.NodeServiceClient
	history   dbosv1connect.HistoryServiceClient
}

// Dial connects to the node that owns a data directory. If nobody answers at
// its door, the error is of kind abi.Unavailable.
func Dial(ctx context.Context, dir string) (*Client, error) {
	dir, err := filepath.Abs(dir) // also, "@name" would not be a file
	if err != nil {
		return nil, abi.Errorf("client.dial", abi.Invalid, "data directory", "%w", err)
	}
	first, err := dialSocket(ctx, dir)
	if err != nil {
		if ctx.Err() != nil {
			return nil, abi.Errorf("client.dial", abi.KindOf(ctx.Err()), "data directory "+dir, "%w", context.Cause(ctx))
		}
		return nil, noNode(dir, err)
	}
	// The connection that proved the node to be there is the first one used.
	ready := make(chan net.Conn, 1)
	ready <- first
	c := New(func(ctx context.Context) (net.Conn, error) {
		select {
		case conn := <-ready:
			return conn, nil
		default:
			return dialSocket(ctx, dir)
		}
	})
	c.ready = ready
	return c, nil
}

// New returns a client that reaches its node by dial, which makes a new
// connection each time it is called.
func New(dial func(context.Context) (net.Conn, error)) *Client {
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := &Client{transport: &http.Transport{
		Protocols:       &p,
		IdleConnTimeout: time.Minute,
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}
	h := &http.Client{Transport: c.transport}
	const base = "http://node" // the socket is the address
	options := connect.WithClientOptions(
		connect.WithReadMaxBytes(maxMessage),
		connect.WithAcceptCompression("gzip", nil, nil), // costs more than a local socket
	)
	c.runs = dbosv1connect.NewRunServiceClient(h, base, options)
	c.sql = dbosv1connect.NewSqlServiceClient(h, base, options)
	c.node = dbosv1connect.NewNodeServiceClient(h, base, options)
	c.history = dbosv1connect.NewHistoryServiceClient(h, base, options)
	return c
}

// Close closes the connections to the node that no call uses.
func (c *Client) Close() {
	select {
	case conn := <-c.ready:
		conn.Close()
	default:
	}
	c.transport.CloseIdleConnections()
}

// Status describes the node.
func (c *Client) Status(ctx context.Context) (*dbosv1.StatusResponse, error) {
	res, err := c.node.Status(ctx, &dbosv1.StatusRequest{})
	return res, rebuild(dbosv1connect.NodeServiceStatusProcedure, err)
}
