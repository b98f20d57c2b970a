// Command provenance measures what always-on history costs a real program: it
// builds the shop of examples/shop, works through a file of orders with it, and
// compares orders per second, and processor time per order, of a shop that keeps
// all history (changes, what was read, and the column store), one that keeps
// changes only, and one that keeps none. The three take turns.
//
//	cd bench && go run ./provenance
//	cd bench && go run ./provenance -orders 5000 -rounds 3
package main

import (
	"context"
	"encoding/json"
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
	Orders  int           `json:"orders"`
	Rounds  int           `json:"rounds"`
	Tills   int           `json:"tills"`
	Latency time.Duration `json:"latency_ns"`
	dir     string
	json    bool
}

func main() {
	var s settings
	flag.IntVar(&s.Orders, "orders", 20_000, "orders of a round")
	flag.IntVar(&s.Rounds, "rounds", 7, "how often each way takes its turn")
	flag.IntVar(&s.Tills, "tills", 64, "orders that are worked on at once")
	flag.DurationVar(&s.Latency, "latency", 0, "how long the payment service takes")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory for the data directories")
	flag.BoolVar(&s.json, "json", false, "print JSON instead of Markdown")
	flag.Parse()
	if err := run(context.Background(), s, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "provenance:", err)
		os.Exit(1)
	}
}

// ways are the values of the shop's flag -history; the last is the base.
var ways = []string{"all", "changes", "off"}

// A round is one file of orders, worked through in one way.
type round struct {
	PerSecond float64       `json:"orders_per_second"`
	CPU       time.Duration `json:"cpu_per_order_ns"` // of the shop's process
	Disk      int64         `json:"disk_bytes"`
}

type report struct {
	Machine  measure.Machine    `json:"machine"`
	Settings settings           `json:"settings"`
	Rounds   map[string][]round `json:"rounds"`
}

func run(ctx context.Context, s settings, w io.Writer) error {
	dir, err := os.MkdirTemp(s.dir, "dbos-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{settings: s, dir: dir, shop: filepath.Join(dir, "shop"), file: filepath.Join(dir, "orders.jsonl")}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	r := report{Machine: measure.Inspect(dir), Settings: s, Rounds: map[string][]round{}}
	for n := range s.Rounds + 1 {
		for i := range ways {
			way := ways[(i+n)%len(ways)]
			one, err := b.round(ctx, way, n)
			if err != nil {
				return err
			}
			if n > 0 { // the first is for the machine to warm up
				r.Rounds[way] = append(r.Rounds[way], one)
			}
		}
	}
	if s.json {
		return measure.WriteJSON(w, r)
	}
	r.print(w)
	return nil
}

// A bench has the built shop and its orders.
type bench struct {
	settings
	dir, shop, file string
}

func (b *bench) prepare(ctx context.Context) error {
	// Built where its own module is: it needs more than this one does.
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dbos-go/dbos").Output()
	if err != nil {
		return fmt.Errorf("finding the shop: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", b.shop, "./examples/shop")
	build.Dir = strings.TrimSpace(string(module))
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building the shop: %w", err)
	}
	orders, err := exec.CommandContext(ctx, b.shop, "-generate", fmt.Sprint(b.Orders)).Output()
	if err != nil {
		return fmt.Errorf("generating orders: %w", err)
	}
	return os.WriteFile(b.file, orders, 0o600)
}

// round works through the file once, in a new shop.
func (b *bench) round(ctx context.Context, way string, n int) (round, error) {
	data := filepath.Join(b.dir, fmt.Sprintf("%s%d", way, n))
	defer os.RemoveAll(data)
	if err := b.stock(ctx, data, way); err != nil {
		return round{}, err
	}
	cmd, out, err := b.work(ctx, data, way, b.file)
	if err != nil {
		return round{}, err
	}
	var sum struct {
		Orders    int     `json:"orders"`
		PerSecond float64 `json:"orders_per_second"`
		Outcomes  map[string]int
	}
	if err := json.Unmarshal(out, &sum); err != nil {
		return round{}, err
	}
	if sum.Outcomes["sold out"] > 0 || sum.Orders != b.Orders {
		return round{}, fmt.Errorf("the shop was sold out: %s", out)
	}
	disk, err := measure.DiskSize(data)
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return round{PerSecond: sum.PerSecond, CPU: used / time.Duration(b.Orders), Disk: disk}, err
}

func (b *bench) work(ctx context.Context, data, way, file string) (*exec.Cmd, []byte, error) {
	cmd := exec.CommandContext(ctx, b.shop, "-data", data, "-orders", file, "-json", "-history", way, "-tills", fmt.Sprint(b.Tills),
		"-latency", b.Latency.String(), "-failures", "0")
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := err.(*exec.ExitError); ok {
			stderr = exit.Stderr
		}
		return nil, nil, fmt.Errorf("the shop: %w\n%s%s", err, out, stderr)
	}
	return cmd, out, nil
}

// stock makes the shop and fills its shelves, so that every order finds what
// it asks for.
func (b *bench) stock(ctx context.Context, data, way string) error {
	one := filepath.Join(b.dir, "one.jsonl")
	if err := os.WriteFile(one, []byte(`{"id":"first","item":"tea","quantity":1,"customer":"Ada","card":"4242424242424242"}`+"\n"), 0o600); err != nil {
		return err
	}
	if _, _, err := b.work(ctx, data, way, one); err != nil {
		return err
	}
	opts := []dbos.Option{dbos.Existing(), dbos.NoWarehouse()}
	if way == "off" {
		opts = append(opts, dbos.NoHistory())
	}
	sys, err := dbos.Open(ctx, data, opts...)
	if err != nil {
		return err
	}
	err = sys.Update(ctx, "bench.deliver", func(tx *dbos.Tx) error {
		_, err := tx.Exec("UPDATE item SET stock = stock + $1, delivered = delivered + $1", 100*b.Orders)
		return err
	})
	if err != nil {
		sys.Close()
		return err
	}
	return sys.Close()
}

func (r *report) print(w io.Writer) {
	r.Machine.Print(w)
	base := r.Rounds[ways[len(ways)-1]]
	table := measure.Table{Header: []string{"history", "orders/s", "of off, median of pairs", "pairs from … to", "CPU an order", "of off", "on disk"}}
	for _, way := range ways {
		var rates, ratios, cpu, cpuRatios, disk []float64
		for i, one := range r.Rounds[way] {
			rates = append(rates, one.PerSecond)
			ratios = append(ratios, one.PerSecond/base[i].PerSecond)
			cpu = append(cpu, float64(one.CPU))
			cpuRatios = append(cpuRatios, float64(one.CPU)/float64(base[i].CPU))
			disk = append(disk, float64(one.Disk))
		}
		low, high := ratios[0], ratios[0]
		for _, x := range ratios {
			low, high = min(low, x), max(high, x)
		}
		table.Add(way, measure.Count(measure.Median(rates)), fmt.Sprintf("%.2f", measure.Median(ratios)), fmt.Sprintf("%.2f … %.2f", low, high),
			fmt.Sprint(measure.Duration(time.Duration(measure.Median(cpu)))), fmt.Sprintf("%.2f", measure.Median(cpuRatios)), measure.Bytes(int64(measure.Median(disk))))
	}
	table.Print(w)
}
