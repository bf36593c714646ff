package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// printSite prints all of one site.
func printSite(s *display, site status.Site, now time.Time) {
	sitesTable([]status.Site{site}, now).write(s)
	s.say("", plain)
	for _, line := range factsOf(site, now) {
		s.wrap(line[0], line[1], plain)
	}
	printWorkers(s, site, now)
	printTasks(s, site, now)
	notes := notesOf(site, now)
	if len(notes) > 0 {
		s.say("", plain)
	}
	for _, n := range notes {
		s.text(n.text, n.style)
	}
	if site.LastExit != "" {
		s.text("last exit: "+site.LastExit, plain)
	}
	for _, exit := range taskExits(site) {
		s.text(exit, plain)
	}
}

// factsOf returns what a site is, in lines of a name and a text.
func factsOf(site status.Site, now time.Time) (facts [][2]string) {
	add := func(name, format string, args ...any) {
		facts = append(facts, [2]string{name, fmt.Sprintf(format, args...)})
	}
	if names := append([]string{site.ServerName}, site.Aliases...); names[0] != "" {
		add("names", "%s", strings.Join(names, " "))
	}
	runs := fmt.Sprintf("%s %s, generation %d", site.Kind, site.Settings, site.Generation)
	if site.User != "" {
		runs += ", user " + site.User
	}
	if site.Preload != "" {
		runs += ", preload " + site.Preload
	}
	add("runs", "%s", runs)
	facts = append(facts, certificateFacts(site.Certificates, now)...)
	add("memory", "%s", memoryLine(site))
	q := site.Requests
	add("requests", "%d, %d active, %d queued, %d failed; workers take %s at once", q.Total, q.Active, q.Queued, q.Errors, plural(site.Threads, "request"))
	if n := site.Tunnels; n.Open > 0 || n.Refused > 0 {
		add("tunnels", "%d open, %d refused (max_tunnels)", n.Open, n.Refused)
	}
	if site.Restarts > 0 {
		add("restarts", "%d that nobody asked for", site.Restarts)
	}
	if e := site.LastEvent; e != nil {
		add("last event", "%s, %s ago", e.What, age(now.Sub(e.At)))
	}
	return facts
}

// memoryLine returns what a site's memory is made of.
func memoryLine(site status.Site) string {
	m := site.Memory
	parts := []string{mb(m.PSS-m.ZygotePSS-m.OthersPSS) + " in workers"}
	if m.ZygotePSS > 0 {
		parts = append(parts, mb(m.ZygotePSS)+" in the zygote")
	}
	if m.OthersPSS > 0 {
		parts = append(parts, mb(m.OthersPSS)+" in what they have started")
	}
	if tasks := site.Total().PSS - m.PSS; tasks > 0 {
		parts = append(parts, mb(tasks)+" in services and cron")
	}
	line := strings.Join(parts, ", ")
	if m.Saved > 0 {
		line += "; forking saves " + mb(m.Saved)
	}
	return line
}

// printWorkers prints a row for each worker of a site, and the requests that it runs.
func printWorkers(s *display, site status.Site, now time.Time) {
	if len(site.Workers) == 0 {
		return
	}
	t := newTable(
		column{head: "WORKER", least: 8, tail: true}, column{head: "GEN", right: true}, column{head: "PID", right: true}, column{head: "STATE"},
		column{head: "SINCE", right: true}, column{head: "AGE", right: true}, column{head: "REQS", right: true},
		column{head: "PSS", right: true}, column{head: "USS", right: true}, column{head: "RSS", right: true}, column{head: "CPU", right: true},
	)
	for _, w := range site.Workers {
		pid := ""
		if w.PID != 0 { // it has been started
			pid = fmt.Sprint(w.PID)
		}
		t.add(
			cell{w.ID, plain}, cell{fmt.Sprint(w.Generation), plain}, cell{pid, plain}, cell{w.State, stateStyle(w.State)},
			cell{ago(now.Sub(w.Since)), plain}, cell{ago(now.Sub(w.Started)), plain}, cell{countOf(w.Requests), plain},
			cell{size(w.Memory.PSS), plain}, cell{size(w.Memory.USS), plain}, cell{size(w.Memory.RSS), plain}, cell{ago(time.Duration(w.CPU * float64(time.Second))), plain},
		)
		for _, r := range w.Running {
			t.line(fmt.Sprintf("  for %s: %s", age(now.Sub(r.Since)), r.What), amber)
		}
	}
	s.say("", plain)
	t.write(s)
}
