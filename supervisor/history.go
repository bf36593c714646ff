package supervisor

import (
	"context"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/journal"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
)

// mostHistory bounds how many points and events one answer has.
const mostHistory = 20_000

// recordPoint records the last minute of a site. before is what it had counted until then.
// A minute in which a site was asleep is left out.
func (s *Supervisor) recordPoint(st status.Site, counts, before front.Counts) {
	if counts.Total < before.Total { // the site was removed, and is another one now
		before = front.Counts{}
	}
	p := journal.Point{
		Site: st.Name, Time: time.Now().Add(-samplePeriod), Workers: st.Processes.Ready, PSS: st.Memory.PSS,
		Requests: counts.Total - before.Total, Errors: counts.Errors - before.Errors, P50: counts.P50, P99: counts.P99,
	}
	if p.PSS > 0 || p.Requests > 0 {
		s.journal.RecordPoint(p)
	}
}

// History returns what was recorded of a site, of all for "".
func (s *Supervisor) History(ctx context.Context, site string, since time.Time) (h control.History, err error) {
	points, err := s.journal.Points(ctx, site, since, mostHistory)
	if err != nil {
		return h, err
	}
	h.Points, h.Events = []control.Point{}, []control.Event{} // [] in JSON, not null
	for _, p := range points {
		h.Points = append(h.Points, control.Point{
			Site: p.Site, Time: p.Time.UTC(), Span: p.Span.Seconds(), Workers: p.Workers, PSS: p.PSS,
			Requests: p.Requests, Errors: p.Errors, P50: p.P50.Seconds(), P99: p.P99.Seconds(),
		})
	}
	events, err := s.journal.Events(ctx, journal.Filter{Site: site, Since: since, Limit: mostHistory})
	for _, e := range events {
		h.Events = append(h.Events, control.Event{Site: e.Site, Time: e.Time.UTC(), Worker: e.Worker, Kind: e.Kind, Reason: e.Reason})
	}
	return h, err
}
