package measure

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// Resident returns the resident memory of this process in bytes, after what
// the garbage collector can free has been given back to the host.
func Resident() int64 {
	debug.FreeOSMemory()
	return status("VmRSS")
}

// Heap returns the bytes of Go objects in use. SQLite's memory is not among
// them: its translation to Go has an allocator of its own.
func Heap() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// PeakResident returns the largest resident memory that this process had.
func PeakResident() int64 { return status("VmHWM") }

// status reads a field of /proc/self/status that is in kB; 0 if it is not
// there.
func status(field string) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if key != field {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		kilobytes, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return 0
		}
		return kilobytes << 10
	}
	return 0
}

// DiskSize returns the bytes of all files below dir.
func DiskSize(dir string) (int64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
