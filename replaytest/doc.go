// Package replaytest tests an application against its own past: Run replays
// the recorded runs of a data directory with the code under test and fails where that
// does something else than the code that was recorded. It is for the go tests of
// programs that use DBOS:
//
//	func TestRecordedOrders(t *testing.T) {
//		replaytest.Run(t, "testdata/shop", register, replaytest.Options{
//			Open: []dbos.Option{dbos.App("shop"), dbos.Migrations(tables)},
//		})
//	}
//
// A directory to keep as test data is copied while no program has it open,
// with the history in it. (A fork begins a history of its own, and has no runs to
// replay.)
package replaytest
