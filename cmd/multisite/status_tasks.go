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
		if s.PID == 0 {
			*t = append(*t, []string{name, "", "", "", s.State, "", "", restarts(s.Restarts)})
			continue
		}
		t.row(name, s.Memory, s.State, fmt.Sprint(s.PID), "", restarts(s.Restarts))
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
