package supervisor

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/multisite/multisite/supervisor/config"
	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/rules"
	"github.com/multisite/multisite/supervisor/status"
)

// Maintenance closes a site for all but some addresses, or opens it. The journal keeps that
// until it is opened, through every start, reload and upgrade.
func (s *Supervisor) Maintenance(ctx context.Context, c control.Maintenance) error {
	if s.upgrader.active.Load() {
		return errUpgrading
	}
	t, err := s.sites.find(c.Site)
	if err != nil {
		return err
	}
	var m *rules.Maintenance
	how := ""
	if c.On {
		if m, err = maintenanceOf(c); err != nil {
			return err
		}
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		how = string(b)
	}
	if err := s.journal.SetMaintenance(context.WithoutCancel(ctx), t.name, how); err != nil {
		return err
	}
	t.maintenance.Store(m)
	s.publish()
	word := map[bool]string{true: "maintenance on", false: "maintenance off"}[c.On]
	t.happened(time.Now(), word)
	t.log.Warn(word)
	return nil
}

// maintenanceOf checks what a caller says.
func maintenanceOf(c control.Maintenance) (*rules.Maintenance, error) {
	m := &rules.Maintenance{Since: time.Now().UTC().Truncate(time.Second)}
	for _, text := range c.Allow {
		network, err := config.ParseNetwork(text)
		if err != nil {
			return nil, &control.Error{Message: fmt.Sprintf("%q is not an IP address or network", text), Hint: `write one such as "10.0.0.1" or "10.0.0.0/8"`, Usage: true}
		}
		m.Allow = append(m.Allow, network)
	}
	if c.Page != nil {
		page, err := config.NewPage(c.PageName, c.Page)
		if err != nil {
			return nil, &control.Error{Message: err.Error(), Usage: true}
		}
		m.Page = &page
	}
	return m, nil
}

// recallMaintenance closes the site if it was closed before this start.
func (t *site) recallMaintenance() {
	how, err := t.super.journal.Maintenance(context.Background(), t.name)
	if err == nil && how != "" {
		var m rules.Maintenance
		if err = json.Unmarshal([]byte(how), &m); err == nil {
			t.maintenance.Store(&m)
			t.log.Warn("the site is closed for maintenance", "since", m.Since)
		}
	}
	if err != nil {
		t.log.Warn("whether the site was closed for maintenance is not known: it is open", "error", err)
	}
}

// maintenanceStatus returns how the site is closed; nil: it is open.
func (t *site) maintenanceStatus() *status.Maintenance {
	m := t.maintenance.Load()
	if m == nil {
		return nil
	}
	st := &status.Maintenance{Since: m.Since, Allow: []string{}, Page: m.Page != nil}
	for _, network := range m.Allow {
		st.Allow = append(st.Allow, network.String())
	}
	return st
}
