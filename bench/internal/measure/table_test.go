package measure

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	table := Table{Header: []string{"work", "rate/s"}}
	table.Add("empty", "152 000")
	table.Add("one µ row", "7")
	var out strings.Builder
	table.Print(&out)
	want := `| work      |  rate/s |
| --------- | ------: |
| empty     | 152 000 |
| one µ row |       7 |

`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestFormats(t *testing.T) {
	tests := []struct{ got, want string }{
		{Count(0.25), "0.2"},
		{Count(99.6), "100"},
		{Count(999), "999"},
		{Count(152_499), "152 000"},
		{Count(1_234_567), "1 230 000"},
		{Ratio(1, 4), "0.25"},
		{Ratio(1, 0), "-"},
		{Bytes(999), "999 B"},
		{Bytes(1500), "1.5 kB"},
		{Bytes(12_300_000), "12.3 MB"},
		{Bytes(2_500_000_000), "2.50 GB"},
		{Duration(1234567 * time.Nanosecond), "1.23ms"},
		{Duration(999 * time.Nanosecond), "999ns"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestDiskSize(t *testing.T) {
	dir := t.TempDir()
	for name, size := range map[string]int{"a": 10, "below/b": 32} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := DiskSize(dir); got != 42 || err != nil {
		t.Errorf("DiskSize = %d, %v, want 42", got, err)
	}
}

func TestResident(t *testing.T) {
	before := Resident()
	block := make([]byte, 64<<20)
	for i := range block {
		block[i] = 1
	}
	if grown := status("VmRSS") - before; grown < 48<<20 {
		t.Errorf("resident memory grew by %d bytes with 64 MiB in use", grown)
	}
	if heap := Heap(); heap < int64(len(block)) {
		t.Errorf("the heap holds %d bytes, less than the block in use", heap)
	}
	if PeakResident() < before {
		t.Errorf("the peak %d is below what was resident before, %d", PeakResident(), before)
	}
	if block[len(block)-1] != 1 {
		t.Error("the block is gone")
	}
}

func TestInspect(t *testing.T) {
	m := Inspect(t.TempDir())
	if m.CPU == unknown || m.Cores < 1 || m.Kernel == unknown || m.Filesystem == unknown || m.Load == unknown || m.Date.IsZero() {
		t.Errorf("Inspect left something out: %+v", m)
	}
}
