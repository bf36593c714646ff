package supervisor

import (
	"context"
	"net"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/dashboard"
)

// Dashboard returns the address of the dashboard, with its token.
func (s *Supervisor) Dashboard(context.Context) (control.Dashboard, error) {
	if s.page == nil {
		return control.Dashboard{}, &control.Error{Message: "there is no dashboard", Hint: `write dashboard = "127.0.0.1:8081" in sites.toml, above the first [table]`}
	}
	return control.Dashboard{URL: dashboard.URL(s.page.Addr().(*net.TCPAddr), s.pageToken)}, nil
}
