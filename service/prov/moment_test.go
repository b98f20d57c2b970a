package prov_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/service/prov"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return loc
}

func TestParseMoment(t *testing.T) {
	vienna := zone(t, "Europe/Vienna")
	now := time.Date(2026, 11, 21, 18, 30, 15, 500_000_000, vienna)
	at := func(y int, mo time.Month, d, h, mi, s, us int) time.Time {
		return time.Date(y, mo, d, h, mi, s, us*1000, vienna)
	}
	for text, want := range map[string]prov.Spec{
		"now": {Now: true}, "  NOW ": {Now: true},
		"16 minutes ago":                   {Time: now.Add(-16 * time.Minute)},
		"2h30m ago":                        {Time: now.Add(-150 * time.Minute)},
		"1 day ago":                        {Time: now.Add(-24 * time.Hour)},
		"an hour ago":                      {Time: now.Add(-time.Hour)},
		"2 hours and 1.5 minutes ago":      {Time: now.Add(-2*time.Hour - 90*time.Second)},
		"1 week, 2 days ago":               {Time: now.Add(-9 * 24 * time.Hour)},
		"250ms ago":                        {Time: now.Add(-250 * time.Millisecond)},
		"0s ago":                           {Time: now},
		"2026-11-21T17:05:30Z":             {Time: at(2026, 11, 21, 18, 5, 30, 0)},
		"2026-11-21t17:05:30.000001+00:00": {Time: at(2026, 11, 21, 18, 5, 30, 1)},
		"2026-11-21 18:05":                 {Time: at(2026, 11, 21, 18, 5, 0, 0)},
		"2026-11-21 18:05:30.123456":       {Time: at(2026, 11, 21, 18, 5, 30, 123456)},
		"2026-11-21 18:05:30 -05:00":       {Time: at(2026, 11, 22, 0, 5, 30, 0)},
		"2026-11-20":                       {Time: at(2026, 11, 20, 0, 0, 0, 0)},
		"18:05":                            {Time: at(2026, 11, 21, 18, 5, 0, 0)},
		"8:05:09.5":                        {Time: at(2026, 11, 21, 8, 5, 9, 500000)},
		"LSN 1234":                         {HasLSN: true, LSN: 1234}, "lsn  0": {HasLSN: true}, "1234": {HasLSN: true, LSN: 1234},
		"9223372036854775807": {HasLSN: true, LSN: 9223372036854775807},
		"run:order-42":        {Run: "order-42"}, "run:order-42/3": {Run: "order-42/3"}, "order-42": {Run: "order-42"},
		"run:18:05": {Run: "18:05"}, "2026-11-21-report": {Run: "2026-11-21-report"}, "3 wishes": {Run: "3 wishes"},
	} {
		got, err := prov.ParseMoment(text, now)
		want.Text = strings.TrimSpace(text)
		if err != nil || !got.Time.Equal(want.Time) {
			t.Errorf("%q is %v, %v; want %v", text, got.Time, err, want.Time)
		}
		got.Time, want.Time = time.Time{}, time.Time{}
		if got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
}

func TestParseMomentRefuses(t *testing.T) {
	vienna := zone(t, "Europe/Vienna")
	now := time.Date(2026, 11, 21, 18, 30, 15, 0, vienna)
	for text, says := range map[string]string{
		"": "empty", "  ": "empty", "ago": "how long", "5 fortnights ago": "no unit", "3 months ago": "no unit", "-3 minutes ago": "numbers with units",
		"five minutes ago": "numbers with units", "minutes ago": "numbers with units", "999999999 weeks ago": "200 years",
		"18:65": "no such time of day", "24:00": "no such time of day", "18:5": "written 18:05", "18:05:30.": "written 18:05",
		"2026-13-01": "no such day", "2026-02-30 10:00": "no such day", "2026-2-3": "written 2026-11-21", "0000-01-01": "no such day",
		"2026-11-21 18": "written 18:05", "2026-11-21 ": "", "2026-11-21T18:05:30+99:99": "zone", "2026-11-21 Z": "time of day",
		"2026-11-21 18:05 Europe/Vienna": "written 18:05", "LSN -1": "whole number", "LSN x": "whole number", "lsn 1.5": "whole number",
		"99999999999999999999": "whole number", "run:": "no time", "a\x00b": "no time", strings.Repeat("x", 300): "no time",
		"2026-03-29 02:30": "never was", "2026-10-25 02:30": "was twice",
	} {
		spec, err := prov.ParseMoment(text, now)
		if says == "" {
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if !errors.Is(err, abi.Invalid) || !strings.Contains(err.Error(), says) || abi.HintOf(err) == "" {
			t.Errorf("%q gives %+v, %v (hint %q), want one that says %q", text, spec, err, abi.HintOf(err), says)
		}
	}
	_, err := prov.ParseMoment("2026-10-25 02:30", now)
	if hint := abi.HintOf(err); !strings.Contains(hint, "2026-10-25T02:30:00+02:00") || !strings.Contains(hint, "2026-10-25T02:30:00+01:00") {
		t.Errorf("of a time that was twice the hint says %q", hint)
	}
}

// FuzzParseMoment: no text panics; what is understood is one thing, and names
// the same moment when its instant is written as RFC 3339.
func FuzzParseMoment(f *testing.F) {
	for _, text := range []string{"now", "16 minutes ago", "2h30m ago", "2026-11-21 18:05:30.123456", "2026-10-25 02:30", "18:05", "LSN 12", "run:a/3", "an hour and 2 days ago"} {
		f.Add(text, int64(1_795_000_000))
	}
	vienna := zone(f, "Europe/Vienna")
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		now := time.Unix(unix%4_000_000_000, 0).In(vienna)
		s, err := prov.ParseMoment(text, now)
		if err != nil {
			if !errors.Is(err, abi.Invalid) || s.Now || s.HasLSN || s.Run != "" || !s.Time.IsZero() {
				t.Fatalf("%q gives %+v and %v", text, s, err)
			}
			return
		}
		kinds := 0
		for _, is := range []bool{s.Now, s.HasLSN, s.Run != "", !s.Time.IsZero()} {
			if is {
				kinds++
			}
		}
		if kinds != 1 || s.LSN < 0 {
			t.Fatalf("%q is %+v", text, s)
		}
		if y := s.Time.Year(); !s.Time.IsZero() && y > 1000 && y < 9999 {
			again, err := prov.ParseMoment(s.Time.UTC().Format(time.RFC3339Nano), now)
			if err != nil || !again.Time.Equal(s.Time) {
				t.Fatalf("%q is %v, which reads %v, %v", text, s.Time, again.Time, err)
			}
		}
	})
}
