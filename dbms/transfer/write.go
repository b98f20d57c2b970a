package transfer

import (
	"context"
	"fmt"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// write makes the target's tables and fills all of them. It may run more than
// once, each time from the beginning.
func (c *copying) write(from, to dbms.Tx) error {
	c.report.Left = nil
	left, err := c.source.left(from)
	if err != nil {
		return err
	}
	for _, j := range c.jobs {
		if !j.created {
			continue
		}
		lost, err := c.create(to, j)
		if err != nil {
			return err
		}
		left = append(left, lost...)
	}
	c.report.Left = left
	for _, statement := range c.target.begin() {
		if _, err := to.Exec(dbms.System(statement)); err != nil {
			return err
		}
	}
	for _, j := range c.jobs {
		if err := c.fill(from, to, j); err != nil {
			return err
		}
	}
	for _, j := range c.jobs {
		for _, statement := range c.target.after(j.to, j.created) {
			if err := run(to, afterQuery(j.to, statement)); err != nil {
				return err
			}
		}
	}
	return c.carry(to)
}

// afterQuery runs with the application's rights where a definition changes,
// so that the table stays the application's.
func afterQuery(t *table, statement string) *dbms.Query {
	if isService(t.name) || statement[0] != 'A' { // ALTER TABLE
		return dbms.System(statement)
	}
	return dbms.SQL(statement)
}

// run runs a statement and reads what it returns.
func run(tx dbms.Tx, q *dbms.Query) error {
	return each(tx, q, func([]dbms.Value) error { return nil })
}

// create makes a table of the application, and returns what the engine does
// not take of it.
func (c *copying) create(tx dbms.Tx, j *job) (lost []string, err error) {
	twin := *j.from
	twin.columns = append([]column{}, j.from.columns...)
	for i, statement := range c.target.create(&twin) {
		if _, err = tx.Exec(dbms.SQL(statement)); err == nil {
			if i > 0 {
				lost = append(lost, "checks of "+j.from.name)
			}
			break
		}
	}
	if err != nil {
		return nil, abi.Errorf("transfer.create", abi.KindOf(err), "table "+j.from.name, "%w", err).
			WithHint("let the application make its tables: open the target with it once, without rows, and copy then")
	}
	for _, x := range c.target.extras(j.from) {
		if _, err := tx.Exec(dbms.SQL(x.statement)); err != nil {
			if abi.KindOf(err) == abi.Canceled || abi.KindOf(err) == abi.Unavailable {
				return nil, err
			}
			lost = append(lost, x.what)
		}
	}
	return lost, nil
}

// fill copies the rows of a table in batches.
func (c *copying) fill(from, to dbms.Tx, j *job) error {
	size := max(1, c.target.placeholders()/max(1, len(j.to.columns)))
	full := query(j.to, c.target.insert(j.to, size))
	args := make([]any, 0, size*len(j.to.columns))
	flush := func() error {
		n := len(args) / max(1, len(j.to.columns))
		if n == 0 {
			return nil
		}
		q := full
		if n < size {
			q = query(j.to, c.target.insert(j.to, n))
		}
		_, err := to.Exec(q, args...)
		args = args[:0]
		if err != nil {
			return abi.Errorf("transfer.copy", abi.KindOf(err), "table "+j.from.name, "%w", err)
		}
		return nil
	}
	err := c.read(from, j, "copy", nil, func(row []dbms.Value) error {
		for _, v := range row {
			args = append(args, v)
		}
		if len(args) == cap(args) {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// carry records the application's migrations, unless the application has made
// its tables in the target itself.
func (c *copying) carry(tx dbms.Tx) error {
	for _, m := range c.migrations {
		known := false
		err := each(tx, migrationCount, func(row []dbms.Value) error { known = number(row[0]) > 0; return nil }, m[0], m[1])
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if _, err := tx.Exec(migrationWrite, m[0], m[1], m[2], m[3], m[4]); err != nil {
			return err
		}
	}
	return nil
}

// verify reads the target's rows and compares their checksums.
func (c *copying) verify(ctx context.Context) error {
	return c.to.View(ctx, func(tx dbms.Tx) error {
		for i, j := range c.jobs {
			var sum Checksum
			q := dbms.System(fmt.Sprintf("SELECT %s FROM %s", quoteAll(j.to.columnNames()), quote(j.to.name)))
			err := each(tx, q, func(row []dbms.Value) error {
				if sum.add(j.to, row); sum.Rows%progressRows == 0 {
					c.options.Progress(Progress{"verify", j.to.name, sum.Rows, j.checksum.Rows})
				}
				return nil
			})
			if err != nil {
				return err
			}
			c.report.Tables[i].Target = sum.String()
			if !sum.equal(&j.checksum) {
				return abi.Errorf("transfer.verify", abi.Corrupt, "table "+j.to.name, "the target has %d rows with checksum %s instead of %d with %s",
					sum.Rows, sum.String(), j.checksum.Rows, j.checksum.String()).
					WithHint("somebody else may have written to the target; copy again into an empty one")
			}
		}
		return nil
	})
}
