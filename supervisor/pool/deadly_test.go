package pool

import (
	"fmt"
	"testing"
	"time"
)

func TestDeadly_IsBounded(t *testing.T) {
	t.Parallel()
	d, now := newDeadly(), time.Now()
	for i := range 10 * mostDeadly {
		d.add(fmt.Sprintf("GET /%d", i), now.Add(time.Duration(i)*time.Millisecond))
	}
	if len(d.last) != mostDeadly {
		t.Errorf("got %d, want %d", len(d.last), mostDeadly)
	}
	later := now.Add(time.Second)
	if d.has("GET /0", later) || !d.has(fmt.Sprintf("GET /%d", 10*mostDeadly-1), later) {
		t.Error("want the last ones")
	}
}
