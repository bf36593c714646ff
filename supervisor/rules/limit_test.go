package rules

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestLimiter_BurstThenRate(t *testing.T) {
	t.Parallel()
	var l Limiter
	r, now := Rate{Count: 10, Per: time.Second, Burst: 3}, time.Unix(1000, 0)
	passed := func(addr string, tries int) (n int) {
		for range tries {
			if l.take(addr, r, now) == 0 {
				n++
			}
		}
		return n
	}
	if got := passed("192.0.2.1", 10); got != 3 {
		t.Errorf("%d pass at once, want 3", got)
	}
	if wait := l.take("192.0.2.1", r, now); wait != 100*time.Millisecond {
		t.Errorf("got %v to wait", wait)
	}
	if got := passed("192.0.2.2", 10); got != 3 {
		t.Errorf("%d of another address pass, want 3", got)
	}
	now = now.Add(250 * time.Millisecond)
	if got := passed("192.0.2.1", 10); got != 2 {
		t.Errorf("%d pass after 250 ms, want 2", got)
	}
	now = now.Add(time.Hour)
	if got := passed("192.0.2.1", 10); got != 3 {
		t.Errorf("%d pass after an hour, want 3", got)
	}
}

func TestLimiter_CountsNetworks(t *testing.T) {
	t.Parallel()
	var l Limiter
	r, now := Rate{Count: 1, Per: time.Hour, Burst: 1}, time.Unix(1000, 0)
	for _, test := range []struct {
		addr string
		pass bool
	}{
		{"2001:db8::1", true}, {"2001:db8::2", false}, {"2001:db8:0:1::1", true},
		{"192.0.2.1", true}, {"::ffff:192.0.2.1", false}, {"192.0.2.2", true}, {"@", true}, {"", false}, {"fe80::1%eth0", true}, {"fe80::2%eth1", false},
	} {
		if got := l.take(test.addr, r, now) == 0; got != test.pass {
			t.Errorf("%s: got %v, want %v", test.addr, got, test.pass)
		}
	}
}

// TestLimiter_IsBounded: a flood from many addresses takes bounded memory, and the address
// that floods is held all the same. When it is over, the table becomes small.
func TestLimiter_IsBounded(t *testing.T) {
	t.Parallel()
	var l Limiter
	r, now := Rate{Count: 1, Per: time.Second, Burst: 1}, time.Unix(1000, 0)
	passed := 0
	for i := range 200_000 {
		now = now.Add(time.Microsecond)
		l.take(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), r, now)
		if l.take("192.0.2.1", r, now) == 0 {
			passed++
		}
	}
	if len(l.paid) > maxLimited || passed > 100 {
		t.Errorf("%d addresses are kept, want %d; %d requests of the one that floods pass", len(l.paid), maxLimited, passed)
	}
	for i := range maxLimited {
		l.take(fmt.Sprintf("11.0.%d.%d", i>>8, i&255), r, now.Add(time.Hour+time.Duration(i)*time.Second))
	}
	if len(l.paid) > 100 {
		t.Errorf("%d addresses are kept, long after the flood", len(l.paid))
	}
}

func TestLimiter_FromManyGoroutines(t *testing.T) {
	t.Parallel()
	var l Limiter
	var all sync.WaitGroup
	var mu sync.Mutex
	passed, now := 0, time.Now()
	for range 8 {
		all.Go(func() {
			for range 1000 {
				if l.take("192.0.2.1", Rate{100, time.Hour, 100}, now) == 0 {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	if passed != 100 {
		t.Errorf("%d pass, want 100", passed)
	}
}

func BenchmarkLimiter(b *testing.B) {
	var l Limiter
	r := Rate{1000, time.Second, 1000}
	b.ReportAllocs()
	for b.Loop() {
		l.take("203.0.113.9", r, time.Now())
	}
}
