package pool

import "testing"

// TestRank_RemovesWorkersBelowTheTop: if few requests come, old workers may never get to
// the top after a reload, where best would remove them.
func TestRank_RemovesWorkersBelowTheTop(t *testing.T) {
	t.Parallel()
	p := &Pool{settings: Settings{Threads: 1}}
	p.rank.settings = &p.settings
	var old []*member
	for slot := range 5 {
		m := &member{slot: slot + 1, state: Ready}
		p.joinLocked(m)
		p.rank.add(m)
		old = append(old, m)
	}
	for _, m := range old[1:] {
		p.removeLocked(m)
	}
	if len(p.rank.members) != 1 || p.rank.members[0] != old[0] {
		t.Errorf("got %d workers in the rank, want the one that is left", len(p.rank.members))
	}
}
