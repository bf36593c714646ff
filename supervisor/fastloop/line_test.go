package fastloop

import (
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// lined is a request in a line, which its worker has not begun.
type lined struct {
	site.Direct
	site.Ticket
	taken, closed, again bool
}

func (r *lined) Recall() bool   { r.taken = true; return true }
func (r *lined) CloseLine()     { r.closed = true }
func (r *lined) Requeue() error { r.again = true; return nil }
func (r *lined) Resolved() bool { return false }

// TestLoop_RecallsStalledFollowers: the followers are recalled long before the head is
// detached.
func TestLoop_RecallsStalledFollowers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for waited, want := range map[time.Duration]bool{lineStall: false, lineStall + 1: true} {
		l := &Loop{heads: map[int]*client{}}
		first, second := &lined{}, &lined{}
		(&client{loop: l, direct: first, ticket: first, sent: now.Add(-DetachAfter)}).joinLine(5)
		follower := &client{loop: l, direct: second, ticket: second, sent: now.Add(-waited)}
		follower.joinLine(5)
		l.recallStalled(now)
		if first.taken || second.taken != want || second.again != want || first.closed != want {
			t.Errorf("after %v: recalled %v, requeued %v, the line closed %v; want %v", waited, second.taken, second.again, first.closed, want)
		}
		if left := l.followers == 0 && !follower.isFollower(); left != want {
			t.Errorf("after %v: it has left the line: %v, want %v", waited, left, want)
		}
	}
}
