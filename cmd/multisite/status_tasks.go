package main

import (
	"fmt"
	"time"

	"github.com/multisite/multisite/supervisor/control"
)

// tasks adds the rows of a site's services and cron entries, and returns the
// memory of the services.
func (t *table) tasks(site control.SiteStatus, now time.Time) (m control.Memory) {
	for _, s := range site.Services {
		name := "  " + cutLeft("service."+s.Name, nameWidth-2)
		if s.PID == 0 {
			*t = append(*t, []string{name, "", "", "", s.State, "", "", restarts(s.Restarts)})
			continue
		}
		t.row(name, s.Memory, s.State, fmt.Sprint(s.PID), "", restarts(s.Restarts))
		m = control.Memory{PSS: m.PSS + s.Memory.PSS, USS: m.USS + s.Memory.USS, RSS: m.RSS + s.Memory.RSS}
	}
	for _, c := range site.Cron {
		row := []string{"  " + cutLeft("cron."+c.Name, nameWidth-2), "", "", "", "", "", "", c.Schedule}
		switch {
		case c.PID != 0:
			row[4], row[5] = "running", fmt.Sprint(c.PID)
		case !c.Next.IsZero():
			row[4] = "in " + age(c.Next.Sub(now))
		}
		*t = append(*t, row)
	}
	return m
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

// taskEnds are the last ends of a site's services and cron entries.
func taskEnds(site control.SiteStatus) (ends []string) {
	for _, s := range site.Services {
		if s.LastExit != "" {
			ends = append(ends, cut(fmt.Sprintf("last end: %s/service.%s %s", site.Name, s.Name, s.LastExit), tableWidth))
		}
	}
	for _, c := range site.Cron {
		if c.LastExit != "" {
			ends = append(ends, cut(fmt.Sprintf("last run: %s/cron.%s %s", site.Name, c.Name, c.LastExit), tableWidth))
		}
	}
	return ends
}
