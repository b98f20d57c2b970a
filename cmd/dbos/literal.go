package main

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
)

// literals reads the arguments of a statement.
func literals(args []string) ([]any, error) {
	values := make([]any, len(args))
	for i, arg := range args {
		v, err := literal(arg)
		if err != nil {
			return nil, err
		}
		values[i] = v
	}
	return values, nil
}

// literal reads an argument as SQL would a literal: a number, NULL, 'text' or
// x'bytes'. Anything else is text, as are numbers that are not written in
// their usual form, such as 007.
func literal(arg string) (any, error) {
	if strings.EqualFold(arg, "null") {
		return nil, nil
	}
	if n, err := strconv.ParseInt(arg, 10, 64); err == nil && strconv.FormatInt(n, 10) == arg {
		return n, nil
	}
	if f, ok := realLiteral(arg); ok {
		return f, nil
	}
	if text, ok := quoted(arg); ok {
		return strings.ReplaceAll(text, "''", "'"), nil
	}
	if rest, ok := strings.CutPrefix(strings.ToLower(arg), "x"); ok {
		if digits, ok := quoted(rest); ok {
			b, err := hex.DecodeString(digits)
			if err != nil {
				return nil, usageError("write an even number of hexadecimal digits, such as x'00ff'", "argument %s: %v", arg, err)
			}
			return b, nil
		}
	}
	return arg, nil
}

// realLiteral reads a decimal number with a point or an exponent.
func realLiteral(arg string) (float64, bool) {
	digits := strings.TrimPrefix(arg, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || strings.Trim(digits, "0123456789.eE+-") != "" {
		return 0, false
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return 0, false
	}
	f, err := strconv.ParseFloat(arg, 64)
	integral := !strings.ContainsAny(arg, ".eE")
	return f, err == nil && !integral && !math.IsInf(f, 0)
}

// quoted returns the inside of 'text'.
func quoted(arg string) (string, bool) {
	if len(arg) < 2 || arg[0] != '\'' || arg[len(arg)-1] != '\'' {
		return "", false
	}
	return arg[1 : len(arg)-1], true
}
