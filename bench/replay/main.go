// Command replay measures how fast recorded runs are replayed, and shows that they
// do again what they did: it builds the shop of examples/shop, works through a
// file of orders with it, and has the shop replay them all.
//
//	cd bench && go run ./replay
//	cd bench && go run ./replay -orders 10000 -tills 16
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/dbos-go/dbos"
	"github.com/dbos-go/dbos/bench/internal/measure"
)

type settings struct {
	Orders int `json:"orders"`
	Tills  int `json:"tills"`
	dir    string
	json   bool
}

func main() {
	var s settings
	flag.IntVar(&s.Orders, "orders", 1000, "orders that are recorded")
	flag.IntVar(&s.Tills, "tills", 8, "orders that are worked on at once")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the data directory")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of Markdown")
	flag.Parse()
	if err := run(context.Background(), s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

type report struct {
	Machine  measure.Machine   `json:"machine"`
	Settings settings          `json:"settings"`
	Replay   dbos.ReplayReport `json:"replay"`
}

func run(ctx context.Context, s settings, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "dbos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	shop, data := filepath.Join(dir, "shop"), filepath.Join(dir, "data")
	if err := record(ctx, s, shop, dir, data); err != nil {
		return err
	}
	r := report{Machine: measure.Inspect(dir), Settings: s}
	out, err := command(ctx, shop, "replay", "-data", data, "-json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, &r.Replay); err != nil {
		return err
	}
	if r.Replay.Same != s.Orders {
		return fmt.Errorf("of %d orders %d are as they were: %s", s.Orders, r.Replay.Same, out)
	}
	if s.json {
		return measure.WriteJSON(w, r)
	}
	r.Machine.Print(w)
	table := measure.Table{Header: []string{"runs", "steps", "no divergence", "time", "runs/s"}}
	table.Add(fmt.Sprint(r.Replay.Runs), fmt.Sprint(r.Replay.Steps), fmt.Sprint(r.Replay.Same), fmt.Sprint(r.Replay.Took.Round(time.Millisecond)),
		measure.Count(float64(r.Replay.Runs)/r.Replay.Took.Seconds()))
	table.Print(w)
	return nil
}

// record builds the shop and works through a file of orders with it.
func record(ctx context.Context, s settings, shop, dir, data string) error {
	// Built where its own module is: it needs more than this one does.
	module, err := command(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dbos-go/dbos")
	if err != nil {
		return err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", shop, "./examples/shop")
	build.Dir = strings.TrimSpace(string(module))
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the shop: %w", err)
	}
	orders, err := command(ctx, shop, "-generate", fmt.Sprint(s.Orders))
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "orders.jsonl")
	if err := os.WriteFile(file, orders, 0o600); err != nil {
		return err
	}
	_, err = command(ctx, shop, "-data", data, "-orders", file, "-json", "-tills", fmt.Sprint(s.Tills), "-latency", "0s", "-failures", "0")
	return err
}

// command runs a command and returns its output.
func command(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, out, exit.Stderr)
	}
	return out, err
}
