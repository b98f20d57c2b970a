package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestInterruptedRestore presses Ctrl-C at many moments of a restore: it is
// done whole or not at all, and what is said about it is true.
func TestInterruptedRestore(t *testing.T) {
	needWarehouse(t)
	p := newPlace(t)
	defer p.shop()()
	p.dbos("sql", "--write", "with recursive c(i) as (select 1 union all select i + 1 from c limit 20000) insert into stock select 'item ' || i, 0 from c")
	count := func() string {
		return strings.TrimSpace(p.dbos("sql", "--json", "select count(*) as n from stock where n = 0"))
	}
	before := strings.Trim(p.dbos("sql", "--engine", "--json", "select max(lsn) as l from dbos_transaction"), "{\"l:}\n")
	for i := range 6 {
		p.dbos("sql", "--write", "update stock set n = $1", fmt.Sprint(i+1))
		cmd := p.command("dbos", "restore", "--to", before, "--yes")
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var err error
		select {
		case <-time.After(time.Duration(i*i) * 20 * time.Millisecond):
			cmd.Process.Signal(os.Interrupt) // it may have ended
			err = <-ended
		case err = <-ended:
		}
		exit, failed := errors.AsType[*exec.ExitError](err)
		said := errOut.String()
		done := !failed || strings.Contains(said, "done all the same")
		// -1 is the signal itself, before anything was done.
		if failed && exit.ExitCode() != 130 && exit.ExitCode() != -1 {
			t.Fatalf("round %d: %v\n%s", i, err, said)
		}
		want := `{"n":0}`
		if done {
			want = `{"n":20000}`
		}
		if got := count(); got != want {
			t.Errorf("round %d: %s, want %s, after\n%s%s", i, got, want, out.String(), said)
		}
	}
}
