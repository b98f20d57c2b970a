//go:build cgo

package warehouse

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dbos-go/dbos/abi"
)

// The archive is a directory of Parquet files and a manifest that says what they are. A
// segment holds what happened after one LSN and up to another; the first one may be a base instead, that is
// all that was valid at an LSN. What the manifest does not name is not part of it: a segment
// is there when the manifest has been renamed to its place, and gone when a
// manifest without it has.
type archive struct {
	Format int    `json:"format"`
	Engine string `json:"engine"`
	// Oldest is where history began.
	Oldest   Moment    `json:"oldest"`
	Gaps     []Gap     `json:"gaps,omitempty"`
	Segments []segment `json:"segments"`
}

// A segment is one directory of the archive.
type segment struct {
	Name string `json:"name"`
	// Base says that it has all that was valid at Upto, and nothing else.
	Base  bool          `json:"base,omitempty"`
	After Moment        `json:"after"`
	Upto  Moment        `json:"upto"`
	Files []segmentFile `json:"files"`
}

// A segmentFile is a Parquet file of a segment.
type segmentFile struct {
	Name  string `json:"name"`
	Part  string `json:"part"`
	Table int    `json:"table"` // of parts that belong to one
	// Label is the table's name, for people.
	Label  string `json:"label,omitempty"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Parts of a segment.
const (
	partDefinitions = "definitions"
	partCommits     = "commits"
	partStatements  = "statements"
	partReads       = "reads"
	// partBegun are the versions that began in the segment, with their ends if they
	// also ended there.
	partBegun = "begun"
	// partEnded are the ends of versions that began before the segment.
	partEnded = "ended"
	// partAll is in the place of both if a definition gave rows other cells: all versions that
	// began in the segment or were valid when it began.
	partAll = "all"
)

const (
	manifestName  = "manifest.json"
	archiveFormat = 1
)

// newest is the moment up to which the archive goes.
func (a *archive) newest() Moment {
	if len(a.Segments) == 0 {
		return Moment{}
	}
	return a.Segments[len(a.Segments)-1].Upto
}

// bytes is the size of all files.
func (s *segment) bytes() (size int64) {
	for _, f := range s.Files {
		size += f.Bytes
	}
	return size
}

// readArchive reads the manifest. There may be none.
func readArchive(dir string) (archive, error) {
	path := filepath.Join(dir, segmentsName, manifestName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return archive{Format: archiveFormat}, nil
	}
	if err != nil {
		return archive{}, abi.Errorf("warehouse.archive", abi.Unavailable, path, "%w", err)
	}
	var a archive
	if err := json.Unmarshal(text, &a); err != nil {
		return archive{}, abi.Errorf("warehouse.archive", abi.Corrupt, path, "%w", err).
			WithHint("move the directory %s away: the archive begins anew with the next segment", filepath.Dir(path))
	}
	if a.Format != archiveFormat {
		return archive{}, abi.Errorf("warehouse.archive", abi.Unsupported, path, "its format is %d, this program knows %d", a.Format, archiveFormat)
	}
	return a, nil
}

// publish writes the manifest in one step, and then removes what it does not
// name any more.
func (a *archive) publish(dir string) error {
	text, err := json.MarshalIndent(a, "", "\t")
	if err != nil {
		return abi.Errorf("warehouse.archive", abi.Invalid, manifestName, "%w", err)
	}
	root := filepath.Join(dir, segmentsName)
	if err := replaceFile(filepath.Join(root, manifestName), text); err != nil {
		return archiveError(err, root)
	}
	a.tidy(root)
	return nil
}

// replaceFile puts a file in place of another such that at any time one of them is there,
// whole.
func replaceFile(path string, text []byte) error {
	f, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// tidy removes the segments that are not in the manifest: dropped ones, and
// what a killed process has left.
func (a *archive) tidy(root string) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	named := map[string]bool{manifestName: true}
	for _, s := range a.Segments {
		named[s.Name] = true
	}
	for _, e := range entries {
		if !named[e.Name()] {
			os.RemoveAll(filepath.Join(root, e.Name()))
		}
	}
}

func archiveError(err error, path string) error {
	kind := abi.Unavailable
	if strings.Contains(err.Error(), "no space left") {
		kind = abi.Exhausted
	}
	return abi.Errorf("warehouse.archive", kind, path, "%w", err)
}

// digest makes sure that a file is on disk, and returns its size and SHA-256.
func digest(path string) (size int64, sum string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return 0, "", err
	}
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}

// verify compares a segment's files with the manifest.
func (s *segment) verify(root string) error {
	for _, f := range s.Files {
		path := filepath.Join(root, s.Name, f.Name)
		size, sum, err := digest(path)
		if err != nil {
			return abi.Errorf("warehouse.rebuild", abi.Corrupt, path, "%w", err)
		}
		if size != f.Bytes || sum != f.SHA256 {
			return abi.Errorf("warehouse.rebuild", abi.Corrupt, path, "it has %d bytes with SHA-256 %s, the manifest says %d with %s", size, sum, f.Bytes, f.SHA256).
				WithHint("restore the file from a backup of the archive")
		}
	}
	return nil
}

// segmentName names a segment by its LSNs, in the order of which they sort.
func segmentName(after, upto Moment, base bool) string {
	if base {
		return fmt.Sprintf("base-%019d", upto.LSN)
	}
	return fmt.Sprintf("%019d-%019d", after.LSN, upto.LSN)
}
