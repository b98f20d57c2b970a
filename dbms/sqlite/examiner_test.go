package sqlite_test

import (
	"context"
	"testing"

	"github.com/dbos-go/dbos/dbms"
	"github.com/dbos-go/dbos/dbms/dbmstest"
	"github.com/dbos-go/dbos/dbms/sqlite"
)

var examined = dbmstest.Engine{
	Name: "sqlite",
	Open: func(ctx context.Context, dir string, o dbms.Options) (dbms.DB, error) {
		db, err := sqlite.Open(ctx, dir, o)
		if err != nil {
			return nil, err
		}
		return db, nil
	},
	Dialect:   dbmstest.SQLite(),
	Directory: true,
}

func TestMain(m *testing.M) { dbmstest.Main(m, examined) }

func TestExaminer(t *testing.T) { dbmstest.Examine(t, examined) }
