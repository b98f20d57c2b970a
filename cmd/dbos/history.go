package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/client"
	dbosv1 "github.com/dbos-go/dbos/proto/dbos/v1"
)

// historyCommand describes what is kept of the past.
func (c *cli) historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show how far history goes back, and where and how it is kept",
		Long: `history shows the oldest and the newest moment that can be asked about, forked
and restored, how far the warehouse is behind the database, and how large it is.`,
		Example: `  dbos history
  dbos history --json | jq .oldest.time
  dbos history rebuild`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.history(cmd.Context()) },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "rebuild",
		Short: "Make the warehouse's file again from its archive",
		Long: `rebuild makes the column store's file again from the sealed segments of its
archive, after checking their checksums. The old file serves until the new one is
whole; if something fails, it stays.`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.keepHistory(cmd.Context(), "rebuilding", (*client.Client).Rebuild)
		},
	}, &cobra.Command{
		Use:   "seal",
		Short: "Bring the archive up to date, such as before a backup",
		Long: `seal writes everything that was committed before into the archive: Parquet files
with a manifest of their checksums, in the directory archive of the warehouse.
They can be copied while programs run.`,
		Args: c.arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.keepHistory(cmd.Context(), "sealing", (*client.Client).Seal)
		},
	})
	return cmd
}

// A historyJSON is what is kept of history.
type historyJSON struct {
	Available bool        `json:"available"`
	Directory string      `json:"directory,omitempty"`
	Oldest    *momentJSON `json:"oldest,omitempty"`
	Newest    *momentJSON `json:"newest,omitempty"`
	Behind    int64       `json:"behind"` // in LSNs
	Lag       float64     `json:"lag_seconds"`
	Bytes     int64       `json:"bytes"`
	Segments  int64       `json:"segments"`
	Tables    int64       `json:"tables"`
	Rows      int64       `json:"rows"`
	Versions  int64       `json:"old_versions"`
	Commits   int64       `json:"commits"`
	PerSecond float64     `json:"spooled_per_second"`
	Retention float64     `json:"retention_seconds"` // negative is for ever
	Trimmed   int64       `json:"engine_oldest_lsn"`
	Gaps      []gapJSON   `json:"gaps"`
	Error     *errorJSON  `json:"error,omitempty"`
}

// A gapJSON is a stretch that nobody can ask about.
type gapJSON struct {
	After *momentJSON `json:"after"`
	Until *momentJSON `json:"until"`
}

func historyOf(st *dbosv1.HistoryServiceStatusResponse) historyJSON {
	j := historyJSON{
		Available: st.Available, Directory: st.Directory, Oldest: momentOf(st.Oldest), Newest: momentOf(st.Position),
		Behind: st.Behind, Lag: st.LagSeconds, Bytes: st.Bytes, Segments: st.Segments, Tables: st.Tables, Rows: st.Rows, Versions: st.Versions, Commits: st.Commits,
		PerSecond: st.SpooledPerSecond, Retention: st.RetentionSeconds, Trimmed: st.TrimmedLsn, Gaps: []gapJSON{},
	}
	for _, g := range st.Gaps {
		j.Gaps = append(j.Gaps, gapJSON{momentOf(g.After), momentOf(g.Until)})
	}
	switch {
	case st.Unavailable != nil:
		j.Error = &errorJSON{Message: st.Unavailable.Message, Kind: abi.Kind(st.Unavailable.Kind).Error(), Hint: st.Unavailable.Hint}
	case st.Failure != nil:
		j.Error = &errorJSON{Message: st.Failure.Message, Kind: abi.Kind(st.Failure.Kind).Error(), Hint: st.Failure.Hint}
	}
	return j
}

func (c *cli) history(ctx context.Context) error {
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	t := c.track("opening the warehouse")
	st, err := s.HistoryStatus(ctx, true)
	t.end()
	if err != nil {
		return err
	}
	return c.printHistory(st)
}

// keepHistory does something to the warehouse and shows what it is then.
func (c *cli) keepHistory(ctx context.Context, what string, do func(*client.Client, context.Context, client.ProgressFunc) (*dbosv1.HistoryServiceStatusResponse, error)) error {
	s, err := c.connectHistory(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	t := c.track(what)
	st, err := patient(ctx, s, func() (*dbosv1.HistoryServiceStatusResponse, error) { return do(s.Client, ctx, t.show) })
	t.end()
	if err != nil {
		return err
	}
	return c.printHistory(st)
}

func (c *cli) printHistory(st *dbosv1.HistoryServiceStatusResponse) error {
	if c.json {
		return c.printJSON(historyOf(st))
	}
	if !st.Available {
		d := c.document()
		d.line("%s", c.screen.paint("no warehouse: "+printable(st.Unavailable.GetMessage()), yellow))
		if hint := st.Unavailable.GetHint(); hint != "" {
			d.line("%s", printable(hint))
		}
		return d.err
	}
	return printFields(c.out, c.screen, historyFields(st, c.now()))
}

func historyFields(st *dbosv1.HistoryServiceStatusResponse, now time.Time) []field {
	fields := []field{
		{"oldest", momentText(st.Oldest, now), bold},
		{"newest", momentText(st.Position, now), bold},
		{"behind", behindText(st), plain},
	}
	if st.Failure != nil {
		fields = append(fields, field{"problem", st.Failure.Message, red}, field{"", st.Failure.Hint, plain})
	}
	for _, g := range st.Gaps {
		fields = append(fields, field{"gap", "from " + momentText(g.After, now) + " to " + momentText(g.Until, now), yellow})
	}
	return append(fields,
		field{"kept", retentionText(seconds(st.RetentionSeconds)), plain},
		field{"directory", st.Directory, plain},
		field{"size", sizeText(st), plain},
		field{"holds", holdsText(st), plain},
		field{"spooling", spoolText(st), plain},
	)
}

func behindText(st *dbosv1.HistoryServiceStatusResponse) string {
	if st.Behind == 0 {
		return "nothing: it has every commit"
	}
	return fmt.Sprintf("%s, the oldest for %s; a question waits until they are in", count(int(st.Behind), "LSN"), took(seconds(st.LagSeconds)))
}

func retentionText(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d < 0:
		return "for ever"
	case d >= day && d%day == 0:
		return "for " + count(int(d/day), "day") + "; what is there now is always kept"
	}
	return "for " + took(d) + "; what is there now is always kept"
}

func sizeText(st *dbosv1.HistoryServiceStatusResponse) string {
	return bytesText(st.Bytes) + ", with " + count(int(st.Segments), "sealed segment")
}

func holdsText(st *dbosv1.HistoryServiceStatusResponse) string {
	return fmt.Sprintf("%s of %s, %s of rows, and %s", count(int(st.Rows), "row"), count(int(st.Tables), "table"),
		count(int(st.Versions), "old version"), count(int(st.Commits), "commit"))
}

func spoolText(st *dbosv1.HistoryServiceStatusResponse) string {
	if st.SpooledPerSecond == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f changes/s at the last time", st.SpooledPerSecond)
}

// bytesText renders a size.
func bytesText(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}

// connectHistory reaches the node that keeps the history: of a database that
// programs share, the one on this machine that holds the warehouse and answers
// at its door, if there is one.
func (c *cli) connectHistory(ctx context.Context) (*session, error) {
	s, err := c.connect(ctx)
	if err != nil || !s.shared {
		return s, err
	}
	st, err := s.HistoryStatus(ctx, false)
	if err != nil || st.Directory == "" {
		return s, nil
	}
	s.house = st.Directory
	node, err := knockAt(ctx, s.house)
	if err != nil {
		return s, nil // nobody holds it, or nobody answers
	}
	node.shared = true
	return node, s.close()
}

// lastLSN is the database's last commit, or 0 if that cannot be told.
func (s *session) lastLSN(ctx context.Context) int64 {
	st, err := s.Status(ctx)
	if err != nil {
		return 0
	}
	return st.LastLsn
}

// settleTime is how long an operator who pressed Ctrl-C waits to be told
// whether it came in time.
const settleTime = 5 * time.Second

// explainBroken says, of a call that was broken off, whether its transaction
// was committed all the same. before is an LSN from before the call.
func (c *cli) explainBroken(s *session, broken error, procedure string, before int64) {
	switch abi.KindOf(broken) {
	case abi.Canceled, abi.Timeout, abi.Unavailable, abi.Unknown:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	lsn, err := s.committed(ctx, procedure, before)
	switch {
	case err != nil:
		fmt.Fprintf(c.err, "note: whether it was done cannot be told now; ask: dbos sql %s\n",
			shellWord(fmt.Sprintf("select lsn from prov.calls where procedure = '%s' and lsn > %d", procedure, before)))
	case lsn == 0:
		fmt.Fprintln(c.err, "note: nothing was changed")
	default:
		fmt.Fprintf(c.err, "note: it was done all the same, in LSN %d; to take it back: dbos restore --to %d\n", lsn, lsn-1)
	}
}

// committed returns the LSN of the last transaction of a procedure after
// another one, or 0.
func (s *session) committed(ctx context.Context, procedure string, after int64) (int64, error) {
	// In line behind the call's transaction, where there is one writer.
	if _, err := s.Exec(ctx, "select 1"); err != nil {
		return 0, err
	}
	rows, err := s.Query(ctx, "select lsn from dbos_transaction where procedure = $1 and lsn > $2 order by lsn desc limit 1", procedure, after)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if lsn, ok := rows.Values()[0].(int64); ok {
			return lsn, nil
		}
	}
	return 0, rows.Err()
}

// reportJSON prints a report for programs, if there is one, with the error in
// it; the error decides about the exit code.
func (c *cli) reportJSON(there bool, report any, err error) error {
	if !c.json || !there {
		return err
	}
	if printErr := c.printJSON(report); printErr != nil {
		return printErr
	}
	if err != nil {
		printError(c.err, err, c.command)
		return reported{err}
	}
	return nil
}
