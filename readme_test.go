package dbos_test

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// readmeCommands are the commands that the README may show, each with the file
// that runs it (or, for one that would not end by itself, what it starts).
var readmeCommands = map[string]string{}

// TestReadmeCommands holds the README to what is run: a command that it
// shows must be listed above, and the file named there must mention it.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := commands(string(text))
	if len(shown) == 0 {
		t.Fatal("the README shows no command; put them in ```sh blocks")
	}
	for _, command := range shown {
		runner, ok := readmeCommands[command]
		if !ok {
			t.Errorf("the README shows %q and readmeCommands does not list it; run it in a test or in .ci/run, then list it", command)
			continue
		}
		source, err := os.ReadFile(runner)
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(source), command) {
			t.Errorf("%s should run %q, which the README shows, and does not mention it", runner, command)
		}
	}
}

// commands returns the lines of a Markdown text's sh blocks without comments.
func commands(markdown string) []string {
	var found []string
	inside := false
	lines := bufio.NewScanner(strings.NewReader(markdown))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside && line == "```sh"
		case inside:
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				found = append(found, line)
			}
		}
	}
	return found
}
