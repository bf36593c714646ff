package main

import (
	"fmt"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// printTasks prints a row for each service and cron entry of a site.
func printTasks(s *display, site status.Site, now time.Time) {
	if len(site.Services)+len(site.Cron) == 0 {
		return
	}
	t := newTable(
		column{head: "BESIDE", least: 8, tail: true}, column{head: "PID", right: true}, column{head: "STATE"},
		column{head: "PSS", right: true}, column{head: "USS", right: true}, column{head: "RSS", right: true}, column{head: "", least: 20},
	)
	for _, v := range site.Services {
		t.service(v, now)
	}
	for _, c := range site.Cron {
		t.cron(c, now)
	}
	s.say("", plain)
	t.write(s)
}

// service adds the rows of a service.
func (t *table) service(v status.Service, now time.Time) {
	name, note := "service."+v.Name, restarts(v.Restarts)
	if v.StopBy != nil {
		note = timeLeft(*v.StopBy, now)
	}
	t.task(name, v.PID, v.State, v.Memory, note, v.Looping)
	if v.Old != nil {
		t.task(name, v.Old.PID, "stopping", v.Old.Memory, timeLeft(v.Old.StopBy, now), false)
	}
}

// cron adds the row of a cron entry.
func (t *table) cron(c status.Cron, now time.Time) {
	state, note := "", c.Schedule
	switch {
	case c.StopBy != nil:
		state, note = "stopping", timeLeft(*c.StopBy, now)
	case c.PID != 0:
		state = "running"
	case !c.Next.IsZero():
		state = "in " + age(c.Next.Sub(now))
	}
	t.task("cron."+c.Name, c.PID, state, c.Memory, note, false)
}

func (t *table) task(name string, pid int, state string, m status.Memory, note string, alarm bool) {
	look := plain
	if alarm {
		look = red
	}
	id := ""
	if pid != 0 { // it runs
		id = fmt.Sprint(pid)
	}
	t.add(cell{name, plain}, cell{id, plain}, cell{state, look}, cell{size(m.PSS), plain}, cell{size(m.USS), plain}, cell{size(m.RSS), plain}, cell{note, plain})
}

// timeLeft returns how long a process that is stopping may still work.
func timeLeft(by, now time.Time) string {
	return fmt.Sprintf("at most %v more", max(0, by.Sub(now)).Round(time.Second))
}

func restarts(n int) string {
	if n == 0 {
		return ""
	}
	return plural(n, "restart")
}

// taskExits returns how a site's services and cron entries last exited.
func taskExits(site status.Site) (exits []string) {
	for _, s := range site.Services {
		if s.LastExit != "" {
			exits = append(exits, fmt.Sprintf("last exit: %s/service.%s %s", site.Name, s.Name, s.LastExit))
		}
	}
	for _, c := range site.Cron {
		if c.LastExit != "" {
			exits = append(exits, fmt.Sprintf("last run: %s/cron.%s %s", site.Name, c.Name, c.LastExit))
		}
	}
	return exits
}
