package supervisor

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/dashboard"
	"github.com/multisite/multisite/supervisor/visible"
)

// Dashboard returns where a browser sees the dashboard.
func (s *Supervisor) Dashboard(context.Context) (control.Dashboard, error) {
	if s.page == nil {
		return control.Dashboard{}, &control.Error{Message: "there is no dashboard", Hint: `write dashboard = "127.0.0.1:8081" in sites.toml, above the first [table]`}
	}
	return control.Dashboard{URL: dashboard.URL(s.page.Addr().(*net.TCPAddr), s.pageToken)}, nil
}

// view is the status as the dashboard shows it.
func (s *Supervisor) view(ctx context.Context) (dashboard.View, error) {
	st := s.Status(ctx)
	v := dashboard.View{
		Version: st.Supervisor.Version, PID: st.Supervisor.PID, Started: st.Supervisor.Started,
		Memory: dashboard.Memory(st.Supervisor.Memory),
	}
	for _, site := range st.Sites {
		v.Sites = append(v.Sites, viewSite(site))
	}
	return v, nil
}

func viewSite(s control.SiteStatus) dashboard.Site {
	site := dashboard.Site{
		Name: s.Name, State: s.State, Kind: s.Kind, ServerName: s.ServerName, Settings: s.Settings,
		Generation: s.Generation, Ready: s.Processes.Ready, Desired: s.Processes.Desired, Threads: s.Threads,
		Requests: dashboard.Requests{
			Total: s.Requests.Total, Errors: s.Requests.Errors, Active: s.Requests.Active, Queued: s.Requests.Queued,
			PerSecond: s.Requests.PerSecond, P50: seconds(s.Requests.P50), P99: seconds(s.Requests.P99),
		},
		Memory: dashboard.Memory(s.Memory.Memory), Zygote: s.Memory.ZygotePSS, Restarts: s.Restarts,
		LastExit: visible.Text(s.LastExit), LastError: visible.Text(s.LastError),
	}
	for _, w := range s.Workers {
		site.Workers = append(site.Workers, dashboard.Worker{
			ID: w.ID, PID: w.PID, State: w.State, Started: w.Started, Requests: w.Requests, Active: w.Active,
			Memory: dashboard.Memory(w.Memory),
		})
	}
	for _, t := range s.Services {
		note := ""
		if t.Restarts > 0 {
			note = fmt.Sprintf("%d restarts", t.Restarts)
		}
		site.Tasks = append(site.Tasks, dashboard.Task{
			ID: "service." + t.Name, State: t.State, PID: t.PID, Memory: dashboard.Memory(t.Memory), Note: note, LastExit: t.LastExit,
		})
	}
	for _, t := range s.Cron {
		site.Tasks = append(site.Tasks, viewCron(t))
	}
	return site
}

func viewCron(c control.CronStatus) dashboard.Task {
	t := dashboard.Task{ID: "cron." + c.Name, State: "waiting", PID: c.PID, Note: c.Schedule, LastExit: c.LastExit}
	if c.PID != 0 {
		t.State = "running"
	}
	if !c.Next.IsZero() {
		t.Note += ", next " + c.Next.Format("Jan 2 15:04")
	}
	return t
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
