package sqlite

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

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
