package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dbos-go/dbos/client"
)

// The commands of the scripts, besides those of testscript.

// await waits until something is so:
//
//	await door          the application answers
//	await file FILE     the file exists
//	await match FILE RE the file has a match
func await(ts *testscript.TestScript, neg bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !awaited(ts, args) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			ts.Fatalf("await %v: it did not happen", args)
		}
	}
}

func awaited(ts *testscript.TestScript, args []string) bool {
	switch args[0] {
	case "door":
		node, err := client.Dial(context.Background(), ts.Getenv("DBOS_DATA"))
		if err == nil {
			node.Close()
		}
		return err == nil
	case "file":
		_, err := os.Stat(ts.MkAbs(args[1]))
		return err == nil
	case "match":
		text, err := os.ReadFile(ts.MkAbs(args[1]))
		return err == nil && regexp.MustCompile(args[2]).Match(text)
	}
	ts.Fatalf("await what? %v", args)
	return false
}

// exits runs a program that must end with an exit code:
//
//	exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ended, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v ended with exit code %d, want %d", args[1:], got, want)
	}
}

// keep runs a program that prints one number in some text, and keeps it in a
// variable:
//
//	keep NAME PROGRAM ARGS...
func keep(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec(args[1], args[2:]...))
	found := regexp.MustCompile(`\d+`).FindAllString(ts.ReadFile("stdout"), -1)
	if len(found) != 1 {
		ts.Fatalf("%v printed %v, want one number", args[1:], found)
	}
	ts.Setenv(args[0], found[0])
}

// scrub writes what a program printed to a file, with what differs from run to
// run replaced:
//
//	scrub stdout FILE
func scrub(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, r := range scrubbers {
		text = r.pattern.ReplaceAllString(text, r.with)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

var scrubbers = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d [0-9:.]+ [-+]\d\d:\d\d`), "TIME"},
	{regexp.MustCompile(`\b(now|\d+[smhd] ago)\b`), "AGO"},
	{regexp.MustCompile(`\+?\b\d+(\.\d)?(µs|ms|s)\b`), "TOOK"},
	{regexp.MustCompile(`\bos:[^" \n]+`), "USER"},
	{regexp.MustCompile(`\b[\w.-]+/\d+/[0-9a-f]+\b`), "NODE"},
	{regexp.MustCompile(`(process |process: |"pid": )\d+`), "${1}PID"},
	{regexp.MustCompile(`(lsn": |LSN \d+ to )\d+`), "${1}LSN"},
	{regexp.MustCompile(`("[a-z_]*version": ")[^"]+`), "${1}VERSION"},
	{regexp.MustCompile(`(directory": "|data directory )[^":]+`), "${1}DIR"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`([^ \n]) +`), "$1 "}, // the widths of columns differ too
}
