package main

import (
	"fmt"
	"time"
)

// ago says how long ago a moment is, or how far ahead, in one unit; a moment
// more than a year away is a date.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d.Abs() >= 365*24*time.Hour:
		return t.Local().Format(time.DateOnly)
	case d < 0:
		return "in " + unit(-d+time.Second-1) // 59m59.9s is an hour
	}
	return unit(d) + " ago"
}

// unit renders a duration in its largest unit, rounded down.
func unit(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// took renders a duration with two or three digits that matter.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return "0s" // clocks of two processes
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}
