package main

import (
	"fmt"
	"strconv"
	"time"
)

// mb formats a size in megabytes of 2^20 bytes, or in gigabytes.
func mb(n int64) string {
	if n >= 1000<<20 {
		return fmt.Sprintf("%.2f GB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

// size is mb in five characters, for a table; "-" for nothing.
func size(n int64) string {
	m := float64(n) / (1 << 20)
	switch {
	case n == 0:
		return "-"
	case m >= 100<<10:
		return fmt.Sprintf("%.0fG", m/1024)
	case m >= 10<<10:
		return fmt.Sprintf("%.1fG", m/1024)
	case m >= 1000:
		return fmt.Sprintf("%.2fG", m/1024)
	case m >= 100:
		return fmt.Sprintf("%.0fM", m)
	}
	return fmt.Sprintf("%.1fM", m)
}

// count formats a number in five characters.
func countOf(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%dM", n/1_000_000)
	case n >= 100_000:
		return fmt.Sprintf("%dk", n/1000)
	}
	return strconv.FormatInt(n, 10)
}

// rate formats a number of requests a second; "-" for none.
func rate(f float64) string {
	switch {
	case f == 0:
		return "-"
	case f < 9.95:
		return fmt.Sprintf("%.1f", f)
	case f < 99_999.5:
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.0fk", f/1000)
}

// latency formats how long a request took; "-" for none.
func latency(seconds float64) string {
	ms := seconds * 1000
	switch {
	case seconds == 0:
		return "-"
	case ms < 9.95:
		return fmt.Sprintf("%.1fms", ms)
	case ms < 999.5:
		return fmt.Sprintf("%.0fms", ms)
	case seconds < 9.95:
		return fmt.Sprintf("%.1fs", seconds)
	}
	return fmt.Sprintf("%.0fs", seconds)
}

// clock formats a time of day, with the date unless it is today.
func clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04")
	}
	return at.Format("2006-01-02 15:04")
}

// age formats how long something has lasted.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}

// ago is age in one unit, for a table.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours())/24)
}
