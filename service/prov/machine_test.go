package prov

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
)

// A past state is what the tables were when an LSN was now.
type pastState struct {
	lsn     dbms.LSN
	digests map[string]string
}

// scatter makes tables of many sorts and changes them at random, and returns
// all states on the way.
func (w *world) scatter(random *rand.Rand, steps int) []pastState {
	w.t.Helper()
	blob, any := "BLOB", ""
	if w.db.Status().Engine == "postgres" {
		blob, any = "BYTEA", "NUMERIC"
	}
	w.do(`CREATE TABLE parent (id BIGINT PRIMARY KEY, name TEXT UNIQUE, weight DOUBLE PRECISION)`,
		`CREATE TABLE child (parent BIGINT NOT NULL REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE, n BIGINT NOT NULL, v TEXT, PRIMARY KEY (parent, n))`,
		`CREATE TABLE log (line TEXT, n BIGINT)`,
		`CREATE TABLE odd (k TEXT PRIMARY KEY, b `+blob+`, x `+any+`)`,
		`CREATE INDEX child_v ON child (v)`, `CREATE VIEW heavy AS SELECT name FROM parent WHERE weight > 1`)
	if w.db.Status().Engine == "sqlite" {
		w.do(`CREATE TRIGGER noted AFTER UPDATE ON parent BEGIN INSERT INTO log VALUES ('changed ' || NEW.name, NEW.id); END`)
	} else {
		w.do(`CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES ('changed ' || NEW.name, NEW.id); RETURN NULL; END $$`,
			`CREATE TRIGGER noted AFTER UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION noted()`)
	}
	hex := func(s string) string {
		if w.db.Status().Engine == "postgres" {
			return fmt.Sprintf(`'\x%x'::bytea`, s)
		}
		return fmt.Sprintf("x'%x'", s)
	}
	var states []pastState
	for i := range steps {
		id, other := random.IntN(8), random.IntN(8)
		statement := []string{
			fmt.Sprintf(`INSERT INTO parent VALUES (%d, 'p%d', %d.5) ON CONFLICT (id) DO UPDATE SET weight = parent.weight + 0.1`, id, i, other),
			fmt.Sprintf(`UPDATE parent SET name = CASE id WHEN %d THEN 'swapped %d' ELSE name END, weight = -weight`, id, i),
			fmt.Sprintf(`DELETE FROM parent WHERE id = %d`, id),
			fmt.Sprintf(`UPDATE parent SET id = id + 100 WHERE id = %d AND NOT EXISTS (SELECT 1 FROM parent WHERE id = %d)`, id, id+100),
			fmt.Sprintf(`INSERT INTO child SELECT id, %d, 'v%d' FROM parent WHERE id <> %d ON CONFLICT DO NOTHING`, other, i, id),
			fmt.Sprintf(`UPDATE child SET v = v || '%d' WHERE n = %d`, i%10, other),
			fmt.Sprintf(`DELETE FROM child WHERE n = %d`, other),
			fmt.Sprintf(`INSERT INTO log VALUES ('twice', %d), ('twice', %d), (NULL, NULL)`, id, id),
			fmt.Sprintf(`DELETE FROM log WHERE n = %d`, id),
			fmt.Sprintf(`INSERT INTO odd VALUES ('k%d', %s, %d) ON CONFLICT (k) DO UPDATE SET b = excluded.b, x = NULL`, id, hex(fmt.Sprint("\x00\xff", i)), i),
			fmt.Sprintf(`UPDATE odd SET x = 0.%d WHERE k > 'k%d'`, i+1, id),
		}[random.IntN(11)]
		lsn := w.do(statement)
		states = append(states, pastState{lsn, w.digests()})
	}
	return states
}

// TestAnyMoment: the machine, forks and restores have, for any moment, the tables
// that were there when it was now; forth and back, in any order.
func TestAnyMoment(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, e dbmstest.Engine) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		n := 32
		if testing.Short() {
			n = 16
		}
		states := w.scatter(random, n)
		m, err := NewMachine(t.Context(), w.s, w.scratch(e))
		if err != nil {
			t.Fatal(err)
		}
		equalDigests(t, "in a new machine", digestsOf(t, m.DB()), states[n-1].digests)
		for range n / 4 {
			state := states[random.IntN(n)]
			if err := m.Seek(t.Context(), state.lsn); err != nil {
				t.Fatal(err)
			}
			equalDigests(t, fmt.Sprintf("at %d in the machine", state.lsn), digestsOf(t, m.DB()), state.digests)
			if m.At() != state.lsn {
				t.Errorf("the machine says %d, want %d", m.At(), state.lsn)
			}
		}
		for range n / 4 {
			state := states[random.IntN(n)]
			states = append(states, pastState{w.restore(state.lsn).LSN, state.digests})
			equalDigests(t, fmt.Sprintf("after a restore to %d", state.lsn), w.digests(), state.digests)
		}
		state := states[random.IntN(len(states))]
		at, err := w.s.Resolve(t.Context(), itoa(state.lsn))
		if err != nil {
			t.Fatal(err)
		}
		fork := w.scratch(e)
		report, err := w.s.Fork(t.Context(), at, fork, nil)
		if err != nil {
			t.Fatal(err)
		}
		equalDigests(t, "in a fork", digestsOf(t, fork), state.digests)
		if len(report.Warnings) > 0 || len(report.Tables) < len(state.digests) {
			t.Errorf("the fork reports %+v", report)
		}
		if _, err := w.s.Fork(t.Context(), at, fork, nil); !errors.Is(err, abi.Exists) {
			t.Errorf("forking over a fork: %v", err)
		}
	}, dbmstest.PostgresTriggersEngine)
}

// TestMachineOverDefinitions: the machine goes over moments at which tables were
// made, changed and dropped.
func TestMachineOverDefinitions(t *testing.T) {
	onWorlds(t, func(t *testing.T, w *world, e dbmstest.Engine) {
		var states []pastState
		for _, statement := range []string{
			`CREATE TABLE a (id BIGINT PRIMARY KEY, v TEXT)`, `INSERT INTO a VALUES (1, 'x')`, `ALTER TABLE a ADD COLUMN more BIGINT DEFAULT 5`,
			`CREATE TABLE b (id BIGINT PRIMARY KEY, a BIGINT REFERENCES a (id))`, `INSERT INTO b VALUES (1, 1), (2, 1)`, `DROP TABLE b`, `UPDATE a SET more = 6`,
		} {
			states = append(states, pastState{w.do(statement), w.digests()})
		}
		m, err := NewMachine(t.Context(), w.s, w.scratch(e))
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range slices.Concat([]int{0, 6, 4, 1, 5, 2, 3}, []int{4, 2}) {
			if err := m.Seek(t.Context(), states[i].lsn); err != nil {
				t.Fatalf("to state %d: %v", i, err)
			}
			equalDigests(t, fmt.Sprint("in state ", i), digestsOf(t, m.DB()), states[i].digests)
		}
		if err := m.Seek(t.Context(), states[6].lsn+1000000000); !errors.Is(err, abi.NotFound) || m.At() != states[2].lsn {
			t.Errorf("seeking after now: %v, at %d", err, m.At())
		}
	})
}
