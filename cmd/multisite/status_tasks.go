package main

import (
	"fmt"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// tasks adds the rows of a site's services and cron entries.
func (t *table) tasks(site status.Site, now time.Time) {
	for _, s := range site.Services {
		name := "  " + cutLeft("service."+s.Name, nameWidth-2)
		note := restarts(s.Restarts)
		if s.StopBy != nil {
			note = timeLeft(*s.StopBy, now)
		}
		if s.PID == 0 {
			*t = append(*t, []string{name, "", "", "", s.State, "", "", note})
		} else {
			t.row(name, s.Memory, s.State, fmt.Sprint(s.PID), "", note)
		}
		if s.Old != nil {
			t.row(name, s.Old.Memory, "stopping", fmt.Sprint(s.Old.PID), "", timeLeft(s.Old.StopBy, now))
		}
	}
	for _, c := range site.Cron {
		row := []string{"  " + cutLeft("cron."+c.Name, nameWidth-2), "", "", "", "", "", "", c.Schedule}
		switch {
		case c.StopBy != nil:
			row[4], row[5], row[7] = "stopping", fmt.Sprint(c.PID), timeLeft(*c.StopBy, now)
		case c.PID != 0:
			row[4], row[5] = "running", fmt.Sprint(c.PID)
		case !c.Next.IsZero():
			row[4] = "in " + age(c.Next.Sub(now))
		}
		*t = append(*t, row)
	}
}

// timeLeft returns how long a process that is stopping may still work.
func timeLeft(by, now time.Time) string {
	return fmt.Sprintf("at most %v more", max(0, by.Sub(now)).Round(time.Second))
}

func restarts(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 restart"
	}
	return fmt.Sprintf("%d restarts", n)
}

// taskExits returns how a site's services and cron entries last exited.
func taskExits(site status.Site) (exits []string) {
	for _, s := range site.Services {
		if s.LastExit != "" {
			exits = append(exits, cut(fmt.Sprintf("last exit: %s/service.%s %s", site.Name, s.Name, s.LastExit), tableWidth))
		}
	}
	for _, c := range site.Cron {
		if c.LastExit != "" {
			exits = append(exits, cut(fmt.Sprintf("last run: %s/cron.%s %s", site.Name, c.Name, c.LastExit), tableWidth))
		}
	}
	return exits
}
