package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// bits is a set of numbers from 0 to 63.
type bits uint64

func (b bits) has(n int) bool { return b>>n&1 != 0 }

// steps returns the numbers from first to last, with a distance of step.
func steps(first, last, step int) (b bits) {
	for n := first; n <= last; n += step {
		b |= 1 << n
	}
	return b
}

const everyHour bits = 1<<24 - 1

// field is one of the five fields of a schedule.
type field struct {
	name        string   // for messages
	least, most int      // the range of its values
	words       []string // names of the values least, least+1, …
}

var fields = [5]field{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"weekday", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

var macros = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
	"@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
}

// Parse parses five fields, or a word such as @daily. A field is a star, a number, a name,
// a range, a range with a step, or a list of these. The error is one line for a person.
func Parse(text string) (Schedule, error) {
	s := Schedule{text: text}
	five, known := macros[text]
	if !known {
		five = text
	}
	if strings.HasPrefix(five, "@") {
		return Schedule{}, fmt.Errorf("%q is none of @hourly, @daily, @weekly, @monthly and @yearly", text)
	}
	parts := strings.Fields(five)
	if len(parts) != len(fields) {
		return Schedule{}, fmt.Errorf("%q has %d fields, not five: minute hour day month weekday", text, len(parts))
	}
	for i, to := range []*bits{&s.minute, &s.hour, &s.day, &s.month, &s.weekday} {
		var err error
		if *to, err = fields[i].parse(parts[i]); err != nil {
			return Schedule{}, err
		}
	}
	if s.weekday.has(7) { // 7 is Sunday as well
		s.weekday |= 1
	}
	s.anyDay, s.anyWeekday = strings.HasPrefix(parts[2], "*"), strings.HasPrefix(parts[4], "*")
	if !s.possible() {
		return Schedule{}, fmt.Errorf("%q never comes: no such day", text)
	}
	return s, nil
}

// possible reports whether a day of the schedule exists: 30 February does not.
func (s Schedule) possible() bool {
	for month, days := range []int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31} {
		if s.month.has(month+1) && s.day&steps(1, days, 1) != 0 {
			return true
		}
	}
	return !s.anyDay && !s.anyWeekday // then a matching weekday is enough
}

func (f field) parse(text string) (all bits, err error) {
	for part := range strings.SplitSeq(text, ",") {
		b, err := f.parsePart(part)
		if err != nil {
			return 0, err
		}
		all |= b
	}
	return all, nil
}

// parsePart reads "*", "5", "mon", "1-5", and the steps "*/5" and "10-50/10".
func (f field) parsePart(part string) (bits, error) {
	rng, stepText, stepped := strings.Cut(part, "/")
	first, last := f.least, f.most
	from, to, isRange := strings.Cut(rng, "-")
	var err error
	switch {
	case rng == "*":
		if f.name == "weekday" {
			last = 6 // 7 is Sunday again
		}
	case isRange:
		if first, err = f.number(from); err == nil {
			last, err = f.number(to)
		}
	default:
		first, err = f.number(rng)
		last = first
	}
	step := 1
	switch {
	case err != nil:
		return 0, err
	case first > last:
		return 0, fmt.Errorf("%s %q goes backwards", f.name, rng)
	case stepped && rng != "*" && !isRange:
		return 0, fmt.Errorf(`%s %q has a step without a range: write "%s-%d/%s"`, f.name, part, rng, f.most, stepText)
	case stepped:
		step, err = strconv.Atoi(stepText)
	}
	if err != nil || step < 1 || step > f.most {
		return 0, fmt.Errorf("%s %q: the step must be within 1-%d", f.name, part, f.most)
	}
	return steps(first, last, step), nil
}

func (f field) number(text string) (int, error) {
	for i, word := range f.words {
		if strings.EqualFold(text, word) {
			return f.least + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || strings.Trim(text, "0123456789") != "" || n < f.least || n > f.most {
		return 0, fmt.Errorf("%s %q is not within %d-%d", f.name, text, f.least, f.most)
	}
	return n, nil
}
