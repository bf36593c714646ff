package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// printStatus prints the head, a row for each site, and what there is to tell of them.
func printStatus(s *display, st status.Status, now time.Time) {
	s.say(headline(st), headStyle(st))
	if len(st.Sites) > 0 {
		s.say("", plain)
		sitesTable(st.Sites, now).write(s)
	}
	s.say("", plain)
	printSupervisor(s, st, now)
	printNotes(s, st, now)
}

// headline returns how many sites there are in which state, and what they hold.
func headline(st status.Status) string {
	states, workers, saved := map[string]int{}, 0, int64(0)
	for _, site := range st.Sites {
		states[site.State]++
		workers += len(site.Workers)
		saved += site.Memory.Saved
	}
	var in []string
	for _, state := range []string{"running", "failed", "degraded", "starting", "sleeping", "stopped"} {
		if n := states[state]; n > 0 {
			in = append(in, fmt.Sprintf("%d %s", n, state))
		}
	}
	line := plural(len(st.Sites), "site")
	if len(in) > 0 {
		line += ": " + strings.Join(in, ", ")
	}
	line += "; " + plural(workers, "worker") + ", " + mb(st.Total().PSS)
	if saved > 0 {
		line += ", saved " + mb(saved)
	}
	return line
}

func headStyle(st status.Status) style {
	if slices.ContainsFunc(st.Sites, isIll) {
		return red
	}
	return bold
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// isIll reports whether a site does not serve as it should.
func isIll(site status.Site) bool { return site.State == "failed" || site.State == "degraded" }

// urgency orders sites by how much they need a person: 0 is the most.
func urgency(site status.Site) int {
	looping := func(s status.Service) bool { return s.Looping }
	failed := func(c status.Certificate) bool { return c.Failed != nil }
	switch {
	case site.State == "failed":
		return 0
	case site.State == "degraded":
		return 1
	case site.Failed != nil:
		return 2
	case slices.ContainsFunc(site.Services, looping), slices.ContainsFunc(site.Certificates, failed), site.Paused != nil:
		return 3
	case site.State == "starting":
		return 4
	}
	return 5
}

// orders are the values of --sort.
var orders = map[string]func(a, b status.Site) int{
	"attention": func(a, b status.Site) int { return cmp.Compare(urgency(a), urgency(b)) },
	"name":      func(a, b status.Site) int { return strings.Compare(a.Name, b.Name) },
	"memory":    func(a, b status.Site) int { return cmp.Compare(b.Total().PSS, a.Total().PSS) },
	"requests":  func(a, b status.Site) int { return cmp.Compare(b.Requests.PerSecond, a.Requests.PerSecond) },
	"latency":   func(a, b status.Site) int { return cmp.Compare(b.Requests.P99, a.Requests.P99) },
	"errors":    func(a, b status.Site) int { return cmp.Compare(b.Requests.LastHour, a.Requests.LastHour) },
	"queue":     func(a, b status.Site) int { return cmp.Compare(b.Requests.Queued, a.Requests.Queued) },
}

// sitesTable returns a row for each site.
func sitesTable(sites []status.Site, now time.Time) *table {
	t := newTable(
		column{head: "SITE", least: 8}, column{head: "WORKERS"}, column{head: "MEM", right: true}, column{head: "SAVED", right: true},
		column{head: "REQ/S", right: true}, column{head: "P50", right: true}, column{head: "P99", right: true},
		column{head: "ERR/H", right: true}, column{head: "QUEUE", right: true}, column{head: "LAST EVENT", least: 8},
	)
	for _, site := range sites {
		q := site.Requests
		t.add(
			cell{site.Name, bold},
			cell{workersOf(site), stateStyle(site.State)},
			cell{size(site.Total().PSS), plain}, cell{size(max(site.Memory.Saved, 0)), plain},
			cell{rate(q.PerSecond), plain}, cell{latency(q.P50), plain}, cell{latency(q.P99), plain},
			cell{countOf(q.LastHour), alarmIf(q.LastHour > 0)}, cell{countOf(int64(q.Queued)), alarmIf(q.Queued > 0)},
			cell{lastEvent(site, now), eventStyle(site)},
		)
	}
	return t
}

func workersOf(site status.Site) string {
	return fmt.Sprintf("%s %d/%d", site.State, site.Processes.Ready, site.Processes.Desired)
}

func stateStyle(state string) style {
	switch state {
	case "failed", "stuck":
		return red
	case "degraded", "starting", "draining":
		return amber
	case "sleeping", "stopped":
		return faint
	}
	return plain
}

func alarmIf(is bool) style {
	if is {
		return amber
	}
	return plain
}

// lastEvent returns the last event of a site, with its age.
func lastEvent(site status.Site, now time.Time) string {
	if site.LastEvent == nil {
		return ""
	}
	return site.LastEvent.What + " " + ago(now.Sub(site.LastEvent.At))
}

func eventStyle(site status.Site) style {
	switch {
	case site.LastEvent == nil:
		return plain
	case strings.HasSuffix(site.LastEvent.What, "failed"):
		return red
	}
	return plain
}
