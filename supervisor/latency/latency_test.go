package latency

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// TestHistogram_Buckets: each time is in the bucket that Prometheus would put it in: native
// bucket k has times above 2^((k-1)/8) and up to 2^(k/8) seconds.
func TestHistogram_Buckets(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{8 * time.Microsecond, 123 * time.Microsecond, time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 17 * time.Second, time.Hour} {
		var h Histogram
		h.Add(d)
		c := h.Counts()
		if len(c.Native) != 1 || c.Zero != 0 {
			t.Fatalf("%v: got %v, zero %d", d, c.Native, c.Zero)
		}
		for k := range c.Native {
			if low, high := math.Exp2(float64(k-1)/8), math.Exp2(float64(k)/8); d.Seconds() <= low || d.Seconds() > high {
				t.Errorf("%v is in bucket %d, from %v to %v", d, k, low, high)
			}
		}
		for bound, n := range c.Classic {
			if in := d.Seconds() <= bound; in != (n == 1) {
				t.Errorf("%v: %d in the bucket up to %v", d, n, bound)
			}
		}
	}
}

func TestHistogram_Ends(t *testing.T) {
	t.Parallel()
	var h Histogram
	for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, 100 * time.Hour} {
		h.Add(d)
	}
	c := h.Counts()
	if c.Count != 4 || c.Zero != 3 || c.Native[highest*steps] != 1 || c.Classic[60] != 3 {
		t.Errorf("got %+v", c)
	}
}

func TestHistogram_RestoresFromJSON(t *testing.T) {
	t.Parallel()
	var h, next Histogram
	for i := range 1000 {
		h.Add(time.Duration(i*i) * time.Microsecond)
	}
	b, err := json.Marshal(h.Counts())
	if err != nil {
		t.Fatal(err)
	}
	var c Counts
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if next.Restore(c); next != h {
		t.Errorf("got %+v, want %+v", next, h)
	}
	if next.Restore(Counts{Count: 5, Each: []uint64{5}}); next != h {
		t.Error("counts with other buckets were taken over")
	}
}

func BenchmarkAdd(b *testing.B) {
	var h Histogram
	for b.Loop() {
		h.Add(1234 * time.Microsecond)
	}
}
