package supervisor

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/journal"
	front "github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/status"
)

// TestHistory_RecordsAMinute: a point has the requests of its minute alone, also where the
// site was removed and has come back; a site that is asleep has none.
func TestHistory_RecordsAMinute(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(filepath.Join(t.TempDir(), "j.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	s := &Supervisor{journal: j}
	counts := front.Counts{Total: 30, Errors: 3, P50: time.Millisecond, P99: time.Second}
	record := func(name string, pss int64, before front.Counts) {
		st := status.Site{Name: name, Processes: status.Processes{Ready: 2}}
		st.Memory.PSS = pss
		s.recordPoint(st, counts, before)
	}
	record("busy", 5, front.Counts{Total: 10, Errors: 1})
	record("again", 5, front.Counts{Total: 100, Errors: 50})
	record("asleep", 0, counts)
	h, err := s.History(t.Context(), "", time.Now().Add(-time.Hour))
	if err != nil || len(h.Points) != 2 {
		t.Fatalf("got %+v (%v), want two points", h, err)
	}
	again, busy := h.Points[0], h.Points[1]
	if again.Site != "again" || again.Requests != 30 || again.Errors != 3 {
		t.Errorf("got %+v", again)
	}
	if busy.Requests != 20 || busy.Errors != 2 || busy.PSS != 5 || busy.Workers != 2 || busy.P50 != 0.001 || busy.P99 != 1 || busy.Span != 60 {
		t.Errorf("got %+v", busy)
	}
}
