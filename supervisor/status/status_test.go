package status

import "testing"

func TestStatus_Total(t *testing.T) {
	t.Parallel()
	st := Status{
		Supervisor: Supervisor{Memory: Memory{PSS: 1, USS: 10, RSS: 100}},
		Sites: []Site{
			{Memory: SiteMemory{Memory: Memory{PSS: 2, USS: 20, RSS: 200}, ZygotePSS: 1}}, // the zygote is part of the sum
			{Services: []Service{{Memory: Memory{PSS: 4, USS: 40, RSS: 400}}, {Memory: Memory{PSS: 8, USS: 80, RSS: 800}, Old: &OldService{Memory: Memory{PSS: 16, USS: 160, RSS: 1600}}}}},
		},
	}
	if got, want := st.Total(), (Memory{PSS: 31, USS: 310, RSS: 3100}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
