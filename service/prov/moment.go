package prov

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dbos-go/dbos/abi"
	"github.com/dbos-go/dbos/dbms"
)

// A Moment is a state of the database: that as of its LSN.
type Moment struct {
	LSN  dbms.LSN  `json:"lsn"`
	Time time.Time `json:"time"` // of the last commit up to the LSN
	Text string    `json:"text"` // as it was asked for
}

// A Spec is a moment as it is written, before anybody looked whether it is
// there. Exactly one of Now, Time, HasLSN and Run says which.
type Spec struct {
	Text   string
	Now    bool
	Time   time.Time // all commits up to it
	HasLSN bool
	LSN    dbms.LSN
	// Run is what the run's first transaction saw; or, if the text after its
	// last slash is a number and there is no run of the whole name, what that
	// step of the run before the slash saw.
	Run string
}

// ParseMoment reads a moment as people write it:
//
//	now
//	16 minutes ago, 2h30m ago, 1 day ago
//	2026-11-21T18:05:30Z               (RFC 3339)
//	2026-11-21, 2026-11-21 18:05[:30[.123456]]   (now's zone)
//	18:05[:30[.123456]]                (today, in now's zone)
//	LSN 1234, 1234
//	run:ID, run:ID/3                   (what the run, or its step 3, saw)
//
// Any other text names a run; "run:" is for those whose ID reads like a time. It looks
// at nothing but its arguments. A day is 24 hours. A time that a change of the clocks
// skips or repeats is an error of kind abi.Invalid, as is a text that is no moment.
func ParseMoment(text string, now time.Time) (Spec, error) {
	s := Spec{Text: strings.TrimSpace(text)}
	lower := strings.ToLower(s.Text)
	var err error
	switch {
	case s.Text == "":
		return s, unreadable(text, "it is empty")
	case lower == "now":
		s.Now = true
	case strings.HasPrefix(lower, "run:"):
		s.Run = strings.TrimSpace(s.Text[len("run:"):])
		err = checkRun(text, s.Run)
	case strings.HasPrefix(lower, "lsn ") || isDigits(s.Text):
		err = s.number(strings.TrimSpace(strings.TrimPrefix(lower, "lsn ")))
	case lower == "ago" || strings.HasSuffix(lower, " ago"):
		err = s.ago(strings.TrimSuffix(lower, "ago"), now)
	case dateShape.MatchString(s.Text):
		err = s.date(now.Location())
	case clockShape.MatchString(s.Text):
		err = s.clock(s.Text, now)
	default:
		s.Run = s.Text
		err = checkRun(text, s.Run)
	}
	if err != nil {
		return Spec{Text: s.Text}, err
	}
	return s, nil
}

var (
	// dateShape and clockShape are how a text begins that is meant as a time.
	dateShape  = regexp.MustCompile(`^\d{4}-\d{1,2}-\d{1,2}($|[ Tt])`)
	clockShape = regexp.MustCompile(`^\d{1,2}:\d{1,2}($|:\d)`)
	datePart   = regexp.MustCompile(`^(\d{4})-(\d\d)-(\d\d)(?:[ Tt](.*))?$`)
	clockPart  = regexp.MustCompile(`^(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$`)
	zonePart   = regexp.MustCompile(`(?:[Zz]|[+-]\d\d:\d\d)$`)
	agoPart    = regexp.MustCompile(`^(?:,|and\b)?\s*(an?\b|\d+(?:\.\d+)?)\s*([a-zµ]+)\s*`)
)

// forms is the hint of every text that cannot be read.
const forms = `write now, "16 minutes ago", 18:05, "2026-11-21 18:05:30", 2026-11-21T18:05:30Z, "LSN 1234" or run:ID`

func unreadable(text, problem string) error {
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "…"
	}
	return abi.Errorf("prov.moment", abi.Invalid, "moment "+strconv.Quote(text), "%s", problem).WithHint("%s", forms)
}

func checkRun(text, id string) error {
	if err := abi.CheckName("prov.moment", "run", id); err != nil {
		return unreadable(text, "it is no time, and cannot be the ID of a run")
	}
	return nil
}

func isDigits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

func (s *Spec) number(digits string) error {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || !isDigits(digits) {
		return unreadable(s.Text, "an LSN is a whole number from 0 to 9223372036854775807")
	}
	s.LSN, s.HasLSN = dbms.LSN(n), true
	return nil
}

// units are the lengths of what people count time in. Months and years have
// none.
var units = map[string]time.Duration{
	"us": time.Microsecond, "µs": time.Microsecond, "microsecond": time.Microsecond,
	"ms": time.Millisecond, "millisecond": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour,
}

// ago reads what is before the word ago.
func (s *Spec) ago(text string, now time.Time) error {
	rest := strings.TrimSpace(text)
	if rest == "" {
		return unreadable(s.Text, "how long ago?")
	}
	var total float64 // seconds
	for rest != "" {
		m := agoPart.FindStringSubmatch(rest)
		if m == nil {
			return unreadable(s.Text, "a time ago is numbers with units, such as 2 hours 30 minutes ago")
		}
		unit, known := units[m[2]]
		if !known {
			unit, known = units[strings.TrimSuffix(m[2], "s")]
		}
		if !known || len(m[2]) > 1 && m[2] == "ss" {
			return unreadable(s.Text, strconv.Quote(m[2])+" is no unit; there are seconds, minutes, hours, days and weeks")
		}
		n := 1.0
		if m[1][0] != 'a' {
			n, _ = strconv.ParseFloat(m[1], 64) // its form is checked
		}
		total += n * unit.Seconds()
		rest = rest[len(m[0]):]
	}
	const longest = 200 * 365 * 24 * time.Hour
	if total > longest.Seconds() {
		return unreadable(s.Text, "that is more than 200 years ago")
	}
	s.Time = now.Add(-time.Duration(total * float64(time.Second)).Round(time.Microsecond))
	return nil
}

// date reads a text that begins with a date: with a zone, or in this one.
func (s *Spec) date(here *time.Location) error {
	m := datePart.FindStringSubmatch(s.Text)
	if m == nil {
		return unreadable(s.Text, "a date is written 2026-11-21")
	}
	date, err := time.Parse(time.DateOnly, m[1]+"-"+m[2]+"-"+m[3])
	if err != nil || date.Year() < 1000 {
		return unreadable(s.Text, "there is no such day")
	}
	rest := strings.TrimSpace(m[4])
	if zone := zonePart.FindString(rest); zone != "" {
		if here, err = zoneOf(zone); err != nil {
			return unreadable(s.Text, "there is no such time zone")
		}
		rest = strings.TrimSpace(strings.TrimSuffix(rest, zone))
		if rest == "" {
			return unreadable(s.Text, "a zone needs a time of day")
		}
	}
	if rest == "" && len(m[4]) > 0 {
		return unreadable(s.Text, "there is no time of day after the date")
	}
	if rest == "" {
		rest = "00:00"
	}
	return s.clock(rest, time.Date(date.Year(), date.Month(), date.Day(), 12, 0, 0, 0, here))
}

func zoneOf(text string) (*time.Location, error) {
	if text == "Z" || text == "z" {
		return time.UTC, nil
	}
	t, err := time.Parse("-07:00", text)
	if err != nil {
		return nil, err
	}
	return t.Location(), nil
}

// clock reads a time of day, on the day and in the zone of day.
func (s *Spec) clock(text string, day time.Time) error {
	m := clockPart.FindStringSubmatch(text)
	if m == nil {
		return unreadable(s.Text, "a time of day is written 18:05, 18:05:30 or 18:05:30.123456")
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	second, _ := strconv.Atoi("0" + m[3])
	nanos, _ := strconv.Atoi((m[4] + "000000000")[:9])
	if hour > 23 || minute > 59 || second > 59 {
		return unreadable(s.Text, "there is no such time of day")
	}
	t := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, second, nanos, day.Location())
	if h, m, sec := t.Clock(); h != hour || m != minute || sec != second || t.Day() != day.Day() {
		return unreadable(s.Text, "the clocks were put forward over that time in zone "+day.Location().String()+": it never was")
	}
	if twin, twice := repeated(t); twice {
		return unreadable(s.Text, "the clocks were put back over that time in zone "+day.Location().String()+": it was twice").(*abi.Error).
			WithHint("say which: %s or %s", t.Format(time.RFC3339Nano), twin.Format(time.RFC3339Nano))
	}
	s.Time = t
	return nil
}

// repeated returns the other time with the same date and clock in its zone, if
// there is one.
func repeated(t time.Time) (time.Time, bool) {
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	for _, edge := range []struct {
		at    time.Time
		other time.Duration // from the edge into the neighbouring period
	}{{start, -time.Nanosecond}, {end, 0}} {
		if edge.at.IsZero() {
			continue
		}
		_, beside := edge.at.Add(edge.other).Zone()
		twin := t.Add(time.Duration(offset-beside) * time.Second)
		if _, o := twin.Zone(); o == beside && !twin.Equal(t) {
			return twin, true
		}
	}
	return t, false
}
