package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

func TestSmoke(t *testing.T) {
	ctx := t.Context()
	db, err := Open(ctx, t.TempDir(), dbms.Options{Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	call := abi.Call{Procedure: "test.x"}
	up := func(fn func(dbms.Tx) error) error { _, err := db.Update(ctx, call, fn); return err }
	ex := func(sql string, args ...any) func(dbms.Tx) error {
		return func(tx dbms.Tx) error { _, err := tx.Exec(dbms.SQL(sql), args...); return err }
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(up(ex("create table t(id integer primary key, a text, b)")))
	must(up(ex("insert into t values(1,$1,$2)", "x", 2.5)))
	must(up(ex("update t set id=5 where id=1")))
	must(up(ex("alter table t rename column a to c")))
	must(up(ex("alter table t drop column b")))
	must(up(ex("alter table t rename to u")))
	must(up(ex("insert or replace into u values(5,'new')")))
	must(up(ex("create table np(a,b)")))
	must(up(ex("insert into np values(1,2),(3,4)")))
	must(up(ex("delete from np where a=1")))
	fmt.Println(up(ex("delete from dbos_transaction")))
	fmt.Println(up(ex("pragma query_only=1")))
	fmt.Println(up(ex("selec")))
	fmt.Println(up(func(tx dbms.Tx) error { select {} }))
	fmt.Println(up(func(tx dbms.Tx) error {
		_, err := tx.Exec(dbms.SQL("insert into np with recursive c(x) as (select 1 union all select x+1 from c) select x,x from c"))
		return err
	}))
	must(up(ex("drop table u")))
	cs, err := db.Changes(ctx, 0, 100)
	must(err)
	for _, c := range cs {
		fmt.Println(c.LSN, c.Call.Procedure)
		for _, ch := range c.Changes {
			fmt.Println("   ", ch.LSN, ch.Table, ch.Op, ch.Columns, ch.Row, ch.KeyColumns, ch.Key, ch.Schema, ch.Renamed)
		}
	}
	fmt.Println(db.View(ctx, ex("delete from np")))
	fmt.Printf("%+v\n", db.Status())
	_, err = Open(ctx, db.dir, dbms.Options{})
	fmt.Println(err, errors.Is(err, abi.Owned), abi.HintOf(err))
}

func BenchmarkEmpty(b *testing.B) {
	for _, d := range []dbms.Durability{dbms.Async, dbms.Sync} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/%d", d, callers), func(b *testing.B) {
				db, err := Open(context.Background(), b.TempDir(), dbms.Options{Durability: d})
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				call := abi.Call{Procedure: "test.x", Principal: "bench"}
				b.ResetTimer()
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for range b.N / callers {
							db.Update(context.Background(), call, func(dbms.Tx) error { return nil })
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
			})
		}
	}
}
