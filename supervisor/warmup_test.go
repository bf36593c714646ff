package supervisor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	front "github.com/multisite/multisite/supervisor/site"
)

func TestChooseWarmup(t *testing.T) {
	t.Parallel()
	var many []front.AskedPage
	for i := range 20 {
		many = append(many, front.AskedPage{Path: fmt.Sprintf("/%02d", i), Count: 100 - i})
	}
	for _, c := range []struct {
		name   string
		before []string
		asked  []front.AskedPage
		want   []string
	}{
		{"nobody was there", nil, nil, nil},
		{"too few requests", nil, []front.AskedPage{{Path: "/", Count: minAsked - 1}}, nil},
		{"sorted", nil, []front.AskedPage{{Path: "/b", Count: 9}, {Path: "/", Count: 8}, {Path: "/a", Count: 7}}, []string{"/", "/a", "/b"}},
		{"rare ones are left out", nil, []front.AskedPage{{Path: "/", Count: 1000}, {Path: "/a", Count: 9}}, []string{"/"}},
		{"the most asked", nil, many, []string{"/00", "/01", "/02", "/03", "/04", "/05", "/06", "/07"}},
		{"one of before stays", []string{"/15"}, many, []string{"/00", "/01", "/02", "/03", "/04", "/05", "/06", "/15"}},
		{"one that hardly anybody asks for goes", []string{"/16", "/gone"}, many, []string{"/00", "/01", "/02", "/03", "/04", "/05", "/06", "/07"}},
	} {
		if got := chooseWarmup(c.before, c.asked); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestSelfRoll_IsDue: after a quiet minute, and once a day at most. The clock is the test's.
func TestSelfRoll_IsDue(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
	var r selfRoll
	var rolled time.Time // never
	var rolls []time.Duration
	for at := time.Duration(0); at < 72*time.Hour; at += usualSelfRolls.look {
		hour := int(at/time.Hour) % 24
		quiet := hour < 6 || at%(50*time.Second) != 0 // by day never for a minute
		if r.isDue(usualSelfRolls, start.Add(at), rolled, quiet) {
			rolled = start.Add(at)
			rolls = append(rolls, at)
		}
	}
	want := []time.Duration{time.Minute, 24*time.Hour + time.Minute, 48*time.Hour + time.Minute}
	if !slices.Equal(rolls, want) {
		t.Errorf("rolled after %v, want %v", rolls, want)
	}
}
