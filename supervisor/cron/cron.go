// Package cron says when something is due: schedules of five fields, as crontab(5)
// has them, and the next time of one. It starts nothing and reads no clock.
//
// A schedule speaks of the clock on the wall, which summer time turns. Where its
// hours are named (0 2 * * *), each time comes once a day: one that is skipped in
// spring comes at the end of the gap, one that is there twice in autumn comes at
// the first of both. Where they are not (*/5 * * * *), it goes on evenly.
package cron

import "time"

// Schedule is a set of minutes. The zero value has none; Parse makes one.
type Schedule struct {
	text                              string
	minute, hour, day, month, weekday bits
	anyDay, anyWeekday                bool // the field begins with a star
}

// String returns the schedule as it was written.
func (s Schedule) String() string { return s.text }

// horizon is as far as Next looks: 29 February falls on each weekday within it.
const horizon = 41

// Next returns the first minute of the schedule after t, on t's clock. It is zero
// when there is none.
func (s Schedule) Next(after time.Time) time.Time {
	t := after.Truncate(time.Minute).Add(time.Minute)
	named := s.hour != everyHour
	for end := t.AddDate(horizon, 0, 0); t.Before(end); {
		switch {
		case named && s.endsGap(t):
			return t
		case !s.hasDay(t):
			t = nextDay(t)
		case !s.hour.has(t.Hour()):
			t = nextHour(t)
		case !s.minute.has(t.Minute()), named && !sameClockBefore(t).IsZero():
			t = t.Add(time.Minute)
		default:
			return t
		}
	}
	return time.Time{}
}

// hasDay is the rule of crontab(5): where both days are restricted, one will do.
func (s Schedule) hasDay(t time.Time) bool {
	day, weekday := s.day.has(t.Day()), s.weekday.has(int(t.Weekday()))
	if s.anyDay || s.anyWeekday {
		return s.month.has(int(t.Month())) && day && weekday
	}
	return s.month.has(int(t.Month())) && (day || weekday)
}

// endsGap tells whether t is the end of a gap in the clock that holds a minute of
// the schedule.
func (s Schedule) endsGap(t time.Time) bool {
	gap := offset(t) - offset(t.Add(-time.Minute))
	wall := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	for w := wall.Add(-gap); w.Before(wall); w = w.Add(time.Minute) {
		if s.hasDay(w) && s.hour.has(w.Hour()) && s.minute.has(w.Minute()) {
			return true
		}
	}
	return false
}

// sameClockBefore returns the time before t at which the clock showed the same; zero: none.
func sameClockBefore(t time.Time) time.Time {
	const longest = 25 * time.Hour // a country may go back a whole day
	back := offset(t.Add(-longest)) - offset(t)
	if first := t.Add(-back); back > 0 && offset(first)-offset(t) == back {
		return first
	}
	return time.Time{}
}

func offset(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

// nextDay returns midnight, or a time close before it where the clock has none.
func nextDay(t time.Time) time.Time {
	n := time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, t.Location())
	if first := sameClockBefore(n); !first.IsZero() {
		n = first
	}
	if !n.After(t) {
		return t.Add(time.Minute)
	}
	return n
}

// nextHour returns the full hour, or the next minute where the clock is turned before it.
func nextHour(t time.Time) time.Time {
	n := t.Add(time.Duration(60-t.Minute()) * time.Minute)
	if offset(n) != offset(t) {
		return t.Add(time.Minute)
	}
	return n
}
