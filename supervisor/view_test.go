package supervisor

import (
	"slices"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/dashboard"
)

func TestView_ShowsWhatRunsBesideTheWorkers(t *testing.T) {
	t.Parallel()
	next := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	got := viewSite(control.SiteStatus{
		Services: []control.ServiceStatus{{Name: "celery", State: "running", PID: 7, Restarts: 2, Memory: control.Memory{PSS: 5}, LastExit: "exit status 1"}},
		Cron: []control.CronStatus{
			{Name: "tidy", Schedule: "@daily", Next: next, LastExit: "exit status 0"},
			{Name: "mail", Schedule: "* * * * *", Next: next, PID: 8},
		},
	}).Tasks
	want := []dashboard.Task{
		{ID: "service.celery", State: "running", PID: 7, Memory: dashboard.Memory{PSS: 5}, Note: "2 restarts", LastExit: "exit status 1"},
		{ID: "cron.tidy", State: "waiting", Note: "@daily, next Jan 2 03:04", LastExit: "exit status 0"},
		{ID: "cron.mail", State: "running", PID: 8, Note: "* * * * *, next Jan 2 03:04"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
