package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/dbos-go/dbos/abi"
)

// A consent is how a command that changes much gets a person's word for it.
type consent struct {
	dryRun bool // only say what would be done
	yes    bool // it is given
}

// asks reports whether there is somebody to ask.
func (c *cli) asks() bool {
	f, ok := c.in.(*os.File)
	return ok && !c.json && term.IsTerminal(int(f.Fd()))
}

// check refuses, before anything is done, what could not be agreed on later.
func (o consent) check(c *cli) error {
	switch {
	case o.dryRun && o.yes:
		return usageError("", "--dry-run and --yes contradict each other")
	case !o.dryRun && !o.yes && !c.asks():
		return usageError("add --dry-run to see what it would do, or --yes to do it",
			"it changes the database, and nobody can be asked here")
	}
	return nil
}

// confirm asks for the word yes. Any other answer is an error, and so is an
// interrupt.
func (c *cli) confirm(ctx context.Context, question string) error {
	answer, err := c.ask(ctx, question+" Type yes to do it: ")
	if err != nil {
		return err
	}
	if answer != "yes" {
		return declined()
	}
	return nil
}

func declined() error {
	return abi.Errorf("dbos.ask", abi.Canceled, "", "the answer was not yes; nothing was changed")
}

// ask prints a question and returns the line that a person types. What was
// asked goes to standard error, so that the report on standard output can go
// elsewhere.
func (c *cli) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(c.err, question)
	type line struct {
		text string
		err  error
	}
	if c.typed == nil {
		c.typed = bufio.NewReader(c.in)
	}
	answer := make(chan line, 1)
	go func() {
		text, err := c.typed.ReadString('\n')
		answer <- line{text, err}
	}()
	select {
	case l := <-answer:
		if l.err != nil && l.text == "" {
			fmt.Fprintln(c.err)
			return "", abi.Errorf("dbos.ask", abi.Canceled, "", "there was no answer; nothing was changed")
		}
		return strings.TrimSpace(l.text), nil
	case <-ctx.Done():
		fmt.Fprintln(c.err, "\nnothing was changed")
		return "", reported{context.Cause(ctx)}
	}
}
