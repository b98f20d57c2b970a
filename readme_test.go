package dbos_test

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestReadmeCommands holds the README to what is run: .ci/run must contain
// every command that it shows.
func TestReadmeCommands(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ci, err := os.ReadFile(".ci/run")
	if err != nil {
		t.Fatal(err)
	}
	shown := commands(string(readme))
	if len(shown) == 0 {
		t.Fatal("the README shows no command; put them in ```sh blocks")
	}
	for _, command := range shown {
		if !strings.Contains(string(ci), command) {
			t.Errorf("the README shows a command that .ci/run does not run; add it to the list there:\n%s", command)
		}
	}
}

func TestCommandsOfMarkdown(t *testing.T) {
	const markdown = "text\n```sh\ngo run . # why\n\n# only a comment\ngo test \"#x\"\n```\n" +
		"```go\nnot this\n```\n  ```sh\n  indented\n  ```\nnor this\n"
	want := []string{"go run .", `go test "#x"`, "indented"}
	if got := commands(markdown); !slices.Equal(got, want) {
		t.Errorf("commands = %q, want %q", got, want)
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
