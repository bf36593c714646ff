package cron

import (
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, text string) Schedule {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

const layout = "2006-01-02 15:04 -0700"

// times returns the next n times of a schedule after start, in local time.
func times(t testing.TB, schedule, start string, loc *time.Location, n int) string {
	t.Helper()
	s := mustParse(t, schedule)
	at, err := time.ParseInLocation("2006-01-02 15:04:05", start, loc)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for range n {
		at = s.Next(at)
		all = append(all, at.Format(layout))
	}
	return strings.Join(all, "\n")
}

func TestSchedule_Next(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, schedule, after string
		want                  []string
	}{
		{"every minute", "* * * * *", "2026-03-01 10:00:59", []string{"2026-03-01 10:01", "2026-03-01 10:02"}},
		{"not the minute that is", "0 10 * * *", "2026-03-01 10:00:00", []string{"2026-03-02 10:00"}},
		{"a step", "*/20 * * * *", "2026-03-01 23:35:00", []string{"2026-03-01 23:40", "2026-03-02 00:00", "2026-03-02 00:20"}},
		{"a step in a range", "10-30/10 8 * * *", "2026-03-01 08:10:00", []string{"2026-03-01 08:20", "2026-03-01 08:30", "2026-03-02 08:10"}},
		{"a list", "5,50 1,13 * * *", "2026-03-01 01:05:00", []string{"2026-03-01 01:50", "2026-03-01 13:05"}},
		{"the end of a year", "0 0 1 1 *", "2026-03-01 00:00:00", []string{"2027-01-01 00:00", "2028-01-01 00:00"}},
		{"leap days", "0 12 29 2 *", "2026-03-01 00:00:00", []string{"2028-02-29 12:00", "2032-02-29 12:00"}},
		{"short months", "0 0 31 * *", "2026-03-31 00:00:00", []string{"2026-05-31 00:00", "2026-07-31 00:00"}},
		{"names", "0 9 * FEB mon", "2026-03-01 00:00:00", []string{"2027-02-01 09:00", "2027-02-08 09:00"}},
		{"weekdays", "0 9 * * 1-5", "2026-03-06 09:00:00", []string{"2026-03-09 09:00"}},
		{"Sunday is 0", "0 0 * * 0", "2026-03-02 00:00:00", []string{"2026-03-08 00:00"}},
		{"and 7", "0 0 * * 5-7", "2026-03-06 00:00:00", []string{"2026-03-07 00:00", "2026-03-08 00:00", "2026-03-13 00:00"}},
		{"either day", "0 0 13 * fri", "2026-03-01 00:00:00", []string{"2026-03-06 00:00", "2026-03-13 00:00", "2026-03-20 00:00"}},
		{"both days", "0 0 */13 * fri", "2026-03-01 00:00:00", []string{"2026-03-27 00:00", "2026-05-01 00:00"}},
		{"hourly", "@hourly", "2026-03-01 10:00:00", []string{"2026-03-01 11:00"}},
		{"daily", "@daily", "2026-03-01 10:00:00", []string{"2026-03-02 00:00"}},
		{"weekly", "@weekly", "2026-03-02 10:00:00", []string{"2026-03-08 00:00"}},
		{"monthly", "@monthly", "2026-03-02 10:00:00", []string{"2026-04-01 00:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := strings.Join(test.want, " +0000\n") + " +0000"
			if got := times(t, test.schedule, test.after, time.UTC, len(test.want)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// In Berlin 2026 the clock goes from 2:00 to 3:00 on 29 March, and from 3:00 back
// to 2:00 on 25 October.
func TestSchedule_SummerTime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, zone, schedule, after string
		want                        []string
	}{
		{"a named hour that is skipped comes at the end of the gap", "Europe/Berlin", "30 2 * * *", "2026-03-28 03:00:00",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"}},
		{"once, also when it is named too", "Europe/Berlin", "0 2,3 * * *", "2026-03-28 03:00:00",
			[]string{"2026-03-29 03:00 +0200", "2026-03-30 02:00 +0200"}},
		{"not when it is another day's", "Europe/Berlin", "30 2 28 3 *", "2026-03-28 03:00:00", []string{"2027-03-28 03:00 +0200"}},
		{"a named hour that comes twice counts once", "Europe/Berlin", "30 2 * * *", "2026-10-24 03:00:00",
			[]string{"2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"}},
		{"every hour goes on evenly in spring", "Europe/Berlin", "30 * * * *", "2026-03-29 01:00:00",
			[]string{"2026-03-29 01:30 +0100", "2026-03-29 03:30 +0200"}},
		{"and in autumn", "Europe/Berlin", "30 * * * *", "2026-10-25 01:31:00",
			[]string{"2026-10-25 02:30 +0200", "2026-10-25 02:30 +0100", "2026-10-25 03:30 +0100"}},
		{"a midnight that is skipped", "America/Santiago", "0 0 * * *", "2026-09-05 12:00:00",
			[]string{"2026-09-06 01:00 -0300", "2026-09-07 00:00 -0300"}},
		{"a midnight that comes twice", "America/Havana", "0 0 * * *", "2026-10-31 12:00:00",
			[]string{"2026-11-01 00:00 -0400", "2026-11-02 00:00 -0500"}},
		{"half an hour", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03 12:00:00",
			[]string{"2026-10-04 02:30 +1100", "2026-10-05 02:15 +1100"}},
		{"a gap that begins at no full hour", "America/St_Johns", "30 0 * * *", "2010-03-13 12:00:00",
			[]string{"2010-03-14 01:01 -0230", "2010-03-15 00:30 -0230"}},
		{"a day that never was", "Pacific/Apia", "0 12 * * *", "2011-12-29 13:00:00",
			[]string{"2011-12-31 00:00 +1400", "2011-12-31 12:00 +1400"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := strings.Join(test.want, "\n")
			if got := times(t, test.schedule, test.after, zone(t, test.zone), len(test.want)); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestParse_Errors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       `"" has 0 fields, not five: minute hour day month weekday`,
		"* * * *":                `"* * * *" has 4 fields, not five: minute hour day month weekday`,
		"0 * * * * *":            `"0 * * * * *" has 6 fields, not five: minute hour day month weekday`,
		"@reboot":                `"@reboot" is none of @hourly, @daily, @weekly, @monthly and @yearly`,
		"60 * * * *":             `minute "60" is not within 0-59`,
		"-1 * * * *":             `minute "" is not within 0-59`,
		"+1 * * * *":             `minute "+1" is not within 0-59`,
		"* 24 * * *":             `hour "24" is not within 0-23`,
		"* * 0 * *":              `day "0" is not within 1-31`,
		"* * * july *":           `month "july" is not within 1-12`,
		"* * * * 8":              `weekday "8" is not within 0-7`,
		"* * * * fri-":           `weekday "" is not within 0-7`,
		"30-10 * * * *":          `minute "30-10" goes backwards`,
		"5/10 * * * *":           `minute "5/10" has a step without a range: write "5-59/10"`,
		"*/0 * * * *":            `minute "*/0": the step must be within 1-59`,
		"*/x * * * *":            `minute "*/x": the step must be within 1-59`,
		"0 0 30 2 *":             `"0 0 30 2 *" never comes: no such day`,
		"0 0 31 4,6 *":           `"0 0 31 4,6 *" never comes: no such day`,
		"1,,2 * * * *":           `minute "" is not within 0-59`,
		"99999999999999 * * * *": `minute "99999999999999" is not within 0-59`,
	} {
		if _, err := Parse(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// FuzzNext: a schedule that Parse accepts has a next time, which is later, a full minute,
// and the first one.
func FuzzNext(f *testing.F) {
	for _, text := range []string{"*/5 * * * *", "30 2 * * *", "0 0 29 2 */6", "@daily", "5-10/2,7 1 * jan-mar sun,7", "0 0 13 * 5"} {
		f.Add(text, int64(1774742400)) // 2026-03-29
		f.Add(text, int64(1792890000)) // 2026-10-25
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		s, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(text, "\n") {
				t.Errorf("not one line: %v", err)
			}
			return
		}
		at := time.Unix(unix%(1<<33), 0).In(berlin)
		next := s.Next(at)
		if !next.After(at) || next.Second() != 0 {
			t.Fatalf("%q after %v: %v", text, at, next)
		}
		for m := max(next.Unix()-3*3600, at.Unix()) / 60 * 60; m < next.Unix(); m += 60 {
			if got := s.Next(time.Unix(m, 0).In(berlin)); m >= at.Unix() && !got.Equal(next) {
				t.Fatalf("%q: after %v comes %v, but after %v %v", text, at, next, time.Unix(m, 0).In(berlin), got)
			}
		}
	})
}

func BenchmarkSchedule_Next(b *testing.B) {
	s := mustParse(b, "0 0 29 2 */6")
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, zone(b, "Europe/Berlin"))
	for b.Loop() {
		s.Next(at)
	}
}
