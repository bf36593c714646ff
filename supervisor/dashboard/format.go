package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// summary returns which sites are in trouble, or "all well".
func summary(sites []status.Site) string {
	var ill []string
	for _, s := range sites {
		if s.State == "failed" || s.State == "degraded" {
			ill = append(ill, s.Name+" "+s.State)
		}
	}
	if len(ill) == 0 {
		return "all well"
	}
	return strings.Join(ill, ", ")
}

// workers returns the number of worker processes of all sites.
func workers(sites []status.Site) (n int) {
	for _, s := range sites {
		n += len(s.Workers)
	}
	return n
}

// schedule returns when a cron entry runs: its schedule and the next time.
func schedule(c status.Cron) string {
	if c.Next.IsZero() {
		return c.Schedule
	}
	return c.Schedule + ", next " + c.Next.Format("Jan 2 15:04")
}

// size formats a number of bytes in steps of 1024: "48.2 MB".
func size(n int64) string {
	f, unit := float64(n)/(1<<10), "kB"
	for _, next := range []string{"MB", "GB", "TB"} {
		if f < 1000 {
			break
		}
		f, unit = f/1024, next
	}
	if f >= 100 || unit == "kB" {
		return fmt.Sprintf("%.0f %s", f, unit)
	}
	return fmt.Sprintf("%.1f %s", f, unit)
}

// count formats a number in groups of three digits: 1,234,567.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// age formats the time from t to now in its largest two units.
func age(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := now.Sub(t); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// latency formats the duration of a request in seconds.
func latency(seconds float64) string {
	switch {
	case seconds == 0:
		return "–"
	case seconds < 0.01:
		return fmt.Sprintf("%.1f ms", seconds*1000)
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1000)
	default:
		return fmt.Sprintf("%.1f s", seconds)
	}
}
