package abi

import (
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// nameProblem says what is wrong with a name, or "".
func nameProblem(name string) string {
	if name == "" {
		return "it is empty; give it a name"
	}
	if len(name) > MaxName {
		return fmt.Sprintf("it has %d bytes; at most %d are allowed", len(name), MaxName)
	}
	if !utf8.ValidString(name) {
		return fmt.Sprintf("%q is not valid UTF-8", name)
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return fmt.Sprintf("%s contains the control character %U", strconv.Quote(name), r)
		}
	}
	return ""
}
