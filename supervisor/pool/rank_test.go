package pool

import "testing"

// TestRank_ForgetsWhoHasEnded: where few requests come, none of the old workers of a
// reload ever gets to the top, from where it would leave.
func TestRank_ForgetsWhoHasEnded(t *testing.T) {
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
