package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
	"github.com/dbos-go/dbos/server"
)

// A program opens its door; another one, here the same, starts a run and
// waits for it.
func Example() {
	ctx := context.Background()
	dir, stop := program(ctx)
	defer stop()

	node, err := client.Dial(ctx, dir)
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	id, err := node.Start(ctx, &dbosv1.StartRequest{Workflow: "greet", Input: `"Ada"`, Id: "greeting-1"})
	if err != nil {
		log.Fatal(err)
	}
	run, err := node.Wait(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Id, run.State, run.Output)

	_, err = node.Get(ctx, "greeting-2")
	fmt.Println(errors.Is(err, abi.NotFound))

	// Output:
	// greeting-1 RUN_STATE_SUCCEEDED "Hello, Ada"
	// true
}

// program is the owner of a data directory.
func program(ctx context.Context) (dir string, stop func()) {
	dir, err := os.MkdirTemp("", "dbos")
	if err != nil {
		log.Fatal(err)
	}
	sys, err := dbos.Open(ctx, dir)
	if err != nil {
		log.Fatal(err)
	}
	dbos.Workflow(sys, "greet", func(_ dbos.Context, name string) (string, error) {
		return "Hello, " + name, nil
	})
	if err := sys.Launch(ctx); err != nil {
		log.Fatal(err)
	}
	door, err := server.Serve(sys)
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { door.Close(); sys.Close(); os.RemoveAll(dir) }
}
