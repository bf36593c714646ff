package main

import (
	"strings"
	"testing"
	"time"
)

// cronSites is a site that sleeps, with cron entries that run all the same.
const cronSites = subdomain1 + `
processes = { min = 0, max = 1 }
[site.subdomain1.cron]
tick = { schedule = "* * * * *", command = "python3 -c 'from django.conf import settings; print(settings.ROOT_URLCONF)'" }
bad  = { schedule = "* * * * *", command = ["sh", "-c", "echo oh >&2; exit 3"] }
rare = { schedule = "@yearly", command = "true" }
`

// TestServiceCron: the shortest schedule is a minute, so this test waits for one run, which
// continues through an upgrade.
func TestServiceCron(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+cronSites)
	begin := time.Now()
	cron := r.site("subdomain1").Cron
	if len(cron) != 3 || cron[0].Name != "bad" || cron[1].Name != "rare" || cron[2].Schedule != "* * * * *" {
		t.Fatalf("got %+v", cron)
	}
	if next := cron[1].Next.Local(); next.YearDay() != 1 || next.Hour() != 0 || next.Before(begin) {
		t.Errorf("@yearly comes next at %v", next)
	}
	if wait := cron[2].Next.Sub(begin); wait > time.Minute {
		t.Errorf("every minute comes next in %v", wait)
	}
	table := strings.Split(r.must("status", "subdomain1"), "\n")
	checkRow(t, table, "cron.rare", "in ", "@yearly")

	r.upgrade()
	within(t, 2*time.Minute, "both to have run", func() bool {
		cron = r.site("subdomain1").Cron
		return cron[0].LastExit != "" && cron[2].LastExit != ""
	})
	log := r.siteLog("subdomain1")
	for _, want := range []string{
		" subdomain1/cron.tick subdomain1_urls\n",
		" subdomain1/cron.bad oh\n",
		`level=INFO msg="cron ended" cron=subdomain1/cron.tick pid=`,
		`level=ERROR msg="cron ended" cron=subdomain1/cron.bad pid=`,
		` reason=done exit="exit status 3" `,
	} {
		if n := strings.Count(log, want); n < 1 || n > cron[2].Runs {
			t.Errorf("the log has %q %d times, after %d runs", want, n, cron[2].Runs)
		}
	}
	if !strings.HasSuffix(cron[0].LastExit, ": done, exit status 3") || cron[1].Runs != 0 || cron[0].Skipped != 0 {
		t.Errorf("got %+v", cron)
	}
	if s := r.site("subdomain1"); s.State != "sleeping" || len(s.Workers) != 0 {
		t.Errorf("the site is %s with %d workers", s.State, len(s.Workers))
	}
}

// TestServiceCron_Reload: entries are added, changed and removed without restarting a
// worker.
func TestServiceCron_Reload(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+cronSites)
	r.edit(t, `rare = { schedule = "@yearly"`, `rare = { schedule = "@hourly"`)
	r.edit(t, `bad  = `, `new  = `)
	if got, want := r.must("reload"), "subdomain1: cron changed, no worker restarted\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	eventually(t, "the new schedule to be used", func() bool {
		cron := r.site("subdomain1").Cron
		return len(cron) == 3 && cron[0].Name == "new" && cron[1].Schedule == "@hourly" &&
			!cron[1].Next.IsZero() && time.Until(cron[1].Next) <= time.Hour
	})
}
