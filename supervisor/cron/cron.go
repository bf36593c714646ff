// Package cron parses schedules with five fields, as in crontab(5), and computes their next
// time. It starts nothing and reads no clock.
//
// A schedule follows local time, which daylight saving time changes. If the schedule names
// hours (0 2 * * *), each time comes once a day: one that is skipped in spring comes at the
// end of the gap, and one that is repeated in autumn comes the first time. If it does not
// (*/5 * * * *), the schedule runs on evenly.
package cron

import "time"

// Schedule is a set of minutes. Parse makes one; the zero value is empty.
type Schedule struct {
	text                              string // as written
	minute, hour, day, month, weekday bits   // the values that each field allows
	anyDay, anyWeekday                bool   // whether the field begins with a star
}

// String returns the schedule as it was written.
func (s Schedule) String() string { return s.text }

// horizon is the number of years that Next searches. In 41 years, 29 February falls on
// every weekday.
const horizon = 41

// Next returns the first minute of the schedule after the given time, in its time zone, or
// the zero time if there is none.
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

// hasDay reports whether the schedule includes the day of t. As in crontab(5), if both day
// and weekday are restricted, one of them must match.
func (s Schedule) hasDay(t time.Time) bool {
	day, weekday := s.day.has(t.Day()), s.weekday.has(int(t.Weekday()))
	if s.anyDay || s.anyWeekday {
		return s.month.has(int(t.Month())) && day && weekday
	}
	return s.month.has(int(t.Month())) && (day || weekday)
}

// endsGap reports whether t is the end of a gap in local time that skipped a minute of the
// schedule.
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

// sameClockBefore returns the time before t with the same local time, or the zero time if
// there is none.
func sameClockBefore(t time.Time) time.Time {
	const longest = 25 * time.Hour // a country may change its time zone by a whole day
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

// nextDay returns the next midnight, or a time shortly before it if clocks skip midnight.
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

// nextHour returns the next full hour, or the next minute if clocks change before that.
func nextHour(t time.Time) time.Time {
	n := t.Add(time.Duration(60-t.Minute()) * time.Minute)
	if offset(n) != offset(t) {
		return t.Add(time.Minute)
	}
	return n
}
