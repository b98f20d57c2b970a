package main

import (
	"context"

	"github.com/dbos-go/dbos/client"
	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/server/pgwire"
)

// throughDoor is the history of another process's system, as a source of SQL.
type throughDoor struct{ node *client.Client }

func (d throughDoor) Query(ctx context.Context, at, sql string, args ...any) (pgwire.Rows, error) {
	rows, err := d.node.QueryAt(ctx, at, sql, args...)
	if err != nil {
		return nil, err
	}
	return doorRows{rows}, nil
}

func (d throughDoor) Moment(ctx context.Context, at string) (pgwire.Moment, error) {
	m, err := d.node.Resolve(ctx, at)
	if err != nil {
		return pgwire.Moment{}, err
	}
	return pgwire.Moment{LSN: dbms.LSN(m.Lsn), Time: m.Time.AsTime(), Text: m.Text}, nil
}

func (d throughDoor) Describe(ctx context.Context, at, sql string) ([]string, []pgwire.Column, error) {
	res, err := d.node.DescribeAt(ctx, at, sql)
	if err != nil {
		return nil, nil, err
	}
	columns := make([]pgwire.Column, len(res.Columns))
	for i, c := range res.Columns {
		columns[i] = pgwire.Column{Name: c.Name, Type: c.Type}
	}
	return res.Params, columns, nil
}

// doorRows are rows whose columns have their types beside their names.
type doorRows struct{ *client.Rows }

func (r doorRows) Columns() []pgwire.Column {
	names, types := r.Rows.Columns(), r.Types()
	columns := make([]pgwire.Column, len(names))
	for i, name := range names {
		columns[i].Name = name
		if i < len(types) {
			columns[i].Type = types[i]
		}
	}
	return columns
}
