package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// View is everything the page shows.
type View struct {
	Version string
	PID     int
	Started time.Time
	Memory  Memory // of the supervisor itself
	Sites   []Site
}

// Site is one site and its workers.
type Site struct {
	Name       string
	State      string // starting, running, degraded, sleeping, stopped, failed
	Kind       string
	ServerName string
	URL        string // where a browser on this machine opens it; "": not shown
	Settings   string
	Generation int

	Ready, Desired, Threads int

	Requests Requests
	Memory   Memory
	Zygote   int64 // PSS of the processes that workers are forked from
	Restarts int

	LastExit  string
	LastError string // a line or a traceback
	Workers   []Worker
	Tasks     []Task
}

// Task is a service of a site, or an entry of its cron.
type Task struct {
	ID       string // "service.NAME", "cron.NAME"
	State    string
	PID      int // 0: it does not run now
	Memory   Memory
	Note     string // the schedule; how often it was restarted
	LastExit string
}

// Worker is one process of a site.
type Worker struct {
	ID       string
	PID      int
	State    string // starting, ready, busy, draining, stuck, exited
	Started  time.Time
	Requests int64
	Active   int
	Memory   Memory
}

// Requests counts what a site was asked.
type Requests struct {
	Total, Errors  int64
	Active, Queued int
	PerSecond      float64
	P50, P99       time.Duration
}

// Memory is in bytes. Sums of PSS are true; sums of RSS count shared pages again and again.
type Memory struct{ PSS, USS, RSS int64 }

// Total is the memory of all sites and of the supervisor.
func (v View) Total() Memory {
	t := v.Memory
	for _, s := range v.Sites {
		t.PSS += s.Memory.PSS
		t.USS += s.Memory.USS
		t.RSS += s.Memory.RSS
		for _, task := range s.Tasks {
			t.PSS += task.Memory.PSS
			t.USS += task.Memory.USS
			t.RSS += task.Memory.RSS
		}
	}
	return t
}

// Workers counts the processes of all sites.
func (v View) Workers() (n int) {
	for _, s := range v.Sites {
		n += len(s.Workers)
	}
	return n
}

// Summary says in a word or two how the sites are.
func (v View) Summary() string {
	var ill []string
	for _, s := range v.Sites {
		if s.State == "failed" || s.State == "degraded" {
			ill = append(ill, s.Name+" "+s.State)
		}
	}
	if len(ill) == 0 {
		return "all well"
	}
	return strings.Join(ill, ", ")
}

// size writes bytes as people read them: "48.2 MB", in steps of 1024.
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

// count writes a number in groups of three: 1,234,567.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// age writes how long ago a moment was, in its largest two units.
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

// short writes a duration of a request.
func short(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}
