package dbmstest

import (
	"strings"
	"testing"

	"github.com/dbos-go/dbos/dbms"
)

var (
	pairColumns = []string{"id", "v"}
	pairKey     = []string{"id"}
)

func definePair(table string) dbms.Change {
	return dbms.Change{Table: table, Op: dbms.Define, Columns: pairColumns, Types: []string{"INTEGER", "TEXT"}, KeyColumns: pairKey, Schema: "CREATE TABLE " + table}
}

func changePair(op dbms.Op, id int64, row ...dbms.Value) dbms.Change {
	return dbms.Change{Table: "t", Op: op, Columns: pairColumns, KeyColumns: pairKey, Key: []dbms.Value{id}, Row: row}
}

// numbered makes one commit of changes, with the next numbers.
func numbered(r *replica, changes ...dbms.Change) dbms.Commit {
	lsn := r.lsn
	for i := range changes {
		lsn++
		changes[i].LSN = lsn
	}
	return dbms.Commit{LSN: lsn + 1, Changes: changes}
}

// begun is a replica with one table of one row.
func begun(t *testing.T) *replica {
	t.Helper()
	r := newReplica(Engine{Dialect: SQLite()})
	if err := r.apply(numbered(r, definePair("t"), changePair(dbms.Insert, 1, int64(1), "a"))); err != nil {
		t.Fatal(err)
	}
	return r
}

func with(c dbms.Change, change func(*dbms.Change)) dbms.Change {
	change(&c)
	return c
}

// TestReplicaRefuses shows the replica changes that contradict what it knows.
func TestReplicaRefuses(t *testing.T) {
	update := changePair(dbms.Update, 1, int64(1), "b")
	for _, c := range []struct {
		name   string
		change dbms.Change
		want   string // in the finding; "" for none
	}{
		{"update", update, ""},
		{"insert of another row", changePair(dbms.Insert, 2, int64(2), nil), ""},
		{"delete", changePair(dbms.Delete, 1), ""},
		{"insert of a row that is there", changePair(dbms.Insert, 1, int64(1), "b"), "there already"},
		{"update of no row", changePair(dbms.Update, 2, int64(2), "b"), "no row"},
		{"delete of no row", changePair(dbms.Delete, 2), "no row"},
		{"delete with a row", changePair(dbms.Delete, 1, int64(1), "a"), "malformed"},
		{"row that is too short", changePair(dbms.Update, 1, int64(1)), "malformed"},
		{"row with another key", changePair(dbms.Update, 1, int64(2), "b"), "does not have key"},
		{"key that is too long", with(update, func(c *dbms.Change) { c.Key = append(c.Key, nil) }), "the key has"},
		{"unknown operation", with(update, func(c *dbms.Change) { c.Op = "upsert" }), "malformed"},
		{"unknown table", with(update, func(c *dbms.Change) { c.Table = "u" }), "no such table"},
		{"other columns", with(update, func(c *dbms.Change) { c.Columns = []string{"id", "w"} }), "columns"},
		{"drop of no table", dbms.Change{Table: "u", Op: dbms.Drop}, "no such table"},
		{"definition without text", with(definePair("u"), func(c *dbms.Change) { c.Schema = "" }), "malformed"},
		{"rename from nowhere", with(definePair("u"), func(c *dbms.Change) { c.Renamed = "x" }), "not there"},
		{"rename onto a table", with(definePair("t"), func(c *dbms.Change) { c.Renamed = "t" }), "not there"},
		{"definition without types", with(definePair("u"), func(c *dbms.Change) { c.Types = nil }), "malformed"},
		{"column with another default", with(definePair("t"), func(c *dbms.Change) {
			c.Columns, c.Schema = []string{"id", "v", "w"}, "CREATE TABLE t (id, v, w INTEGER DEFAULT 42)"
			c.Types, c.Defaults = make([]string, 3), []dbms.Value{nil, nil, int64(41)}
		}), "the definition says"},
		{"two columns at once", with(definePair("t"), func(c *dbms.Change) { c.Columns, c.Types = []string{"id", "v", "w", "x"}, make([]string, 4) }), "in one step"},
		{"column in the middle", with(definePair("t"), func(c *dbms.Change) { c.Columns, c.Types = []string{"id", "w", "v"}, make([]string, 3) }), "in one step"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := begun(t)
			wantFinding(t, r.apply(numbered(r, c.change)), c.want)
		})
	}
}

func TestReplicaOrder(t *testing.T) {
	r := begun(t)
	wantFinding(t, r.apply(dbms.Commit{LSN: r.lsn}), "follows commit")
	late := numbered(r, changePair(dbms.Update, 1, int64(1), "b"))
	late.LSN--
	late.Changes[0].LSN = late.LSN + 1
	wantFinding(t, r.apply(late), "follows")
	early := numbered(r, changePair(dbms.Update, 1, int64(1), "b"))
	early.Changes[0].LSN = r.lsn
	wantFinding(t, r.apply(early), "follows")
}

// TestReplicaShapes follows the definitions that it can.
func TestReplicaShapes(t *testing.T) {
	r := begun(t)
	wider := with(definePair("t"), func(c *dbms.Change) {
		c.Columns, c.Schema = []string{"id", "v", "w"}, "CREATE TABLE t (id, v, w INTEGER DEFAULT 42)"
		c.Types, c.Defaults = []string{"INTEGER", "TEXT", "INTEGER"}, []dbms.Value{nil, nil, int64(42)}
	})
	renamed := with(wider, func(c *dbms.Change) { c.Columns = []string{"id", "x", "w"} })
	narrower := with(wider, func(c *dbms.Change) { c.Columns, c.Types = []string{"id", "w"}, []string{"INTEGER", "INTEGER"} })
	moved := with(narrower, func(c *dbms.Change) { c.Table, c.Renamed = "u", "t" })
	if err := r.apply(numbered(r, wider, renamed, narrower, moved)); err != nil {
		t.Fatal(err)
	}
	if got := difference(image{"u": {"id,w", encode([]dbms.Value{int64(1), int64(42)})}}, r.image()); got != "" {
		t.Error(got)
	}
	if err := r.apply(numbered(r, dbms.Change{Table: "u", Op: dbms.Drop})); err != nil || len(r.image()) != 0 {
		t.Errorf("after the drop: %v, error %v", r.image(), err)
	}
}

func TestDifference(t *testing.T) {
	same := image{"t": {"id", "i1 "}}
	for _, c := range []struct {
		replica image
		want    string
	}{
		{image{"t": {"id", "i1 "}}, ""}, {image{}, "not in Changes"}, {image{"t": {"id", "i2 "}}, "by Changes"},
		{image{"t": {"id", "i1 "}, "u": {"id"}}, "only in Changes"}, {image{"t": {"v", "i1 "}}, "by Changes"},
	} {
		if got := difference(same, c.replica); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("difference to %v: %q, want %q in it", c.replica, got, c.want)
		}
	}
}

// TestEncode: values of different type or content have different texts.
func TestEncode(t *testing.T) {
	seen := map[string]dbms.Value{}
	for _, v := range anything {
		text := encode([]dbms.Value{v})
		if other, dup := seen[text]; dup && !(v == 0.0 && other == 0.0) {
			t.Errorf("%T %v and %T %v are both %s", v, v, other, other, text)
		}
		seen[text] = v
	}
	if encode([]dbms.Value{"a", "b"}) == encode([]dbms.Value{`a" t"b`}) {
		t.Error("two values look like one")
	}
}
