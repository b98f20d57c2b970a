package main

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what is printed with a file of testdata/golden.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), go test -update accepts it:\n%s", name, diff)
	}
}

var noon = time.Date(2026, 5, 17, 12, 0, 0, 0, time.UTC)

// before returns the moment so long before noon.
func before(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(noon.Add(-d)) }

func someRuns() []*dbosv1.Run {
	return []*dbosv1.Run{
		{Id: "mail-7", Workflow: "mail", State: dbosv1.RunState_RUN_STATE_QUEUED, Queue: "mails", Priority: 3, Principal: "system", CreatedAt: before(300 * time.Millisecond)},
		{Id: "order-43", Workflow: "checkout", State: dbosv1.RunState_RUN_STATE_RUNNING, Principal: "os:ada", Recoveries: 2,
			CreatedAt: before(3 * time.Minute), StartedAt: before(170 * time.Second)},
		{Id: "0196dd3e-7e1a-7b32-a2a1-0c9b74a7c112", Workflow: "remind", State: dbosv1.RunState_RUN_STATE_WAITING, Principal: "user:ada",
			CreatedAt: before(2 * time.Hour), StartedAt: before(2 * time.Hour), WakeAt: before(-72 * time.Hour)},
		{Id: "parent", Workflow: "fan-out", State: dbosv1.RunState_RUN_STATE_WAITING, Principal: "os:ada", WaitsFor: "mail-7",
			CreatedAt: before(26 * time.Hour), StartedAt: before(26 * time.Hour)},
		{Id: "order-41", Workflow: "checkout", State: dbosv1.RunState_RUN_STATE_INTERRUPTED, Principal: "os:ada",
			CreatedAt: before(time.Minute), StartedAt: before(time.Minute)},
		{Id: "order-40", Workflow: "checkout", State: dbosv1.RunState_RUN_STATE_FAILED, Principal: "os:ada",
			Failure:   &dbosv1.Failure{Message: "card refused:\nthe bank says that there is nothing left on the account, and that there never was"},
			CreatedAt: before(3 * time.Hour), StartedAt: before(3 * time.Hour), FinishedAt: before(179 * time.Minute)},
		{Id: "órder-☃-注文", Workflow: "checkout", State: dbosv1.RunState_RUN_STATE_SUCCEEDED, Principal: "os:ada",
			CreatedAt: before(90 * 24 * time.Hour), StartedAt: before(90 * 24 * time.Hour), FinishedAt: before(90 * 24 * time.Hour)},
	}
}

func TestRunTable(t *testing.T) {
	for name, s := range map[string]screen{
		"ps-file.txt":  {},
		"ps-140.txt":   {width: 140},
		"ps-80.txt":    {width: 80},
		"ps-50.txt":    {width: 50},
		"ps-color.txt": {width: 100, color: true},
	} {
		var b bytes.Buffer
		if err := runTable(someRuns(), noon).print(&b, s); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestDetail(t *testing.T) {
	t.Setenv("TZ", "UTC")
	run := someRuns()[5]
	run.Input, run.Output = `{"item":"hat","count":2}`, ""
	run.Queue, run.Version, run.Node = "orders", "v1.2", "host/1/2"
	res := &dbosv1.GetResponse{
		Run: run,
		Steps: []*dbosv1.Step{
			{Seq: 1, Name: "reserve", Kind: "transaction", Output: `{"reserved":true,"left":17}`, Attempts: 1,
				StartedAt: before(3*time.Hour - time.Millisecond), FinishedAt: before(3*time.Hour - 2234*time.Microsecond)},
			{Seq: 2, Name: "charge", Kind: "step", Failure: &dbosv1.Failure{Message: "card refused", Kind: dbosv1.ErrorKind_ERROR_KIND_DENIED}, Attempts: 3,
				StartedAt: before(3*time.Hour - time.Second), FinishedAt: before(179 * time.Minute)},
		},
		Events: []*dbosv1.Event{{Key: "progress", Value: `"reserved"`, SetAt: before(3 * time.Hour)}},
	}
	for name, s := range map[string]screen{"show-80.txt": {width: 80}, "show-60.txt": {width: 60}} {
		var b bytes.Buffer
		if err := printDetail(&b, s, res, noon); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "now", 999 * time.Millisecond: "now", time.Second: "1s ago", 59*time.Second + 900*time.Millisecond: "59s ago",
		time.Minute: "1m ago", 90 * time.Minute: "1h ago", 47 * time.Hour: "1d ago", 364 * 24 * time.Hour: "364d ago", 365 * 24 * time.Hour: "2025-05-17",
		-time.Second: "in 1s", -(time.Hour - time.Millisecond): "in 1h", -400 * 24 * time.Hour: "2027-06-21",
	} {
		if got := ago(noon.Add(-d), noon); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-1: "0s", 0: "0µs", 999 * time.Microsecond: "999µs", 1234 * time.Microsecond: "1.2ms", 340 * time.Millisecond: "340ms",
		1960 * time.Millisecond: "1.9s", 59 * time.Second: "59s", 123 * time.Second: "2m03s", 65 * time.Minute: "1h05m", 76 * time.Hour: "3d04h",
	} {
		if got := took(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain ☃": "plain ☃", "a\nb\tc": "a⏎b c", "\x1b[31mred": `\x1b[31mred`, "\u202eevil": `\u202eevil`, "\xff": "\uFFFD", "\r\x00": `\r\x00`,
	} {
		if got := printable(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestTableFits draws tables with anything in them.
func TestTableFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tab table
		n := rapid.IntRange(1, 6).Draw(t, "columns")
		for range n {
			tab.columns = append(tab.columns, column{
				title: rapid.StringN(0, 10, -1).Draw(t, "title"), right: rapid.Bool().Draw(t, "right"),
				least: rapid.IntRange(0, 9).Draw(t, "least"), optional: rapid.Bool().Draw(t, "optional"),
			})
		}
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			var row []cell
			for range n {
				row = append(row, cell{text: rapid.String().Draw(t, "cell")})
			}
			tab.add(row...)
		}
		width := rapid.IntRange(3*n, 120).Draw(t, "width")
		var b strings.Builder
		if err := tab.print(&b, screen{width: width}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != len(tab.rows)+1 {
			t.Fatalf("%d lines for %d rows:\n%s", len(lines), len(tab.rows), b.String())
		}
		for _, line := range lines {
			if w := uniseg.StringWidth(line); w > width {
				t.Fatalf("a line is %d wide on a screen of %d:\n%s", w, width, line)
			}
			if strings.ContainsFunc(line, unprintable) {
				t.Fatalf("a line has a control character: %q", line)
			}
		}
	})
}

func TestFrame(t *testing.T) {
	got := frame("a\nb\nc\nd\n", "foot", 4)
	want := "\x1b[Ha\x1b[K\r\nb\x1b[K\r\n… and 2 more\x1b[K\r\nfoot\x1b[K\x1b[J"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := frame("a\n", "foot", 24); got != "\x1b[Ha\x1b[K\r\nfoot\x1b[K\x1b[J" {
		t.Errorf("got %q", got)
	}
}

func TestLiteral(t *testing.T) {
	for arg, want := range map[string]any{
		"1": int64(1), "-9223372036854775808": int64(math.MinInt64), "9223372036854775808": "9223372036854775808",
		"007": "007", "+1": "+1", "": "", "0": int64(0), "-0": "-0",
		"1.5": 1.5, "-2e3": -2000.0, "1e999": "1e999", "01.5": "01.5", ".5": ".5", "0x10": "0x10", "1_000.0": "1_000.0", "inf": "inf", "nan": "nan",
		"null": nil, "NULL": nil, "'null'": "null", "''": "", "'it''s'": "it's", "'": "'", "x''": []byte{}, "X'0aFF'": []byte{10, 255}, "x": "x",
	} {
		got, err := literal(arg)
		if err != nil {
			t.Errorf("%s: %v", arg, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", arg, diff)
		}
	}
	if _, err := literal("x'0'"); exitCode(err) != exitUsage {
		t.Errorf("half a byte: got %v", err)
	}
}

func TestDistinct(t *testing.T) {
	got := distinct([]string{"id", "", "id", "id_2", "id"})
	if diff := cmp.Diff([]string{"id", "column_2", "id_2", "id_2_2", "id_3"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
