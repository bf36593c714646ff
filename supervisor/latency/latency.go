// Package latency counts durations in fixed buckets, as Prometheus takes them: classic
// ones, whose bounds are the usual ones of web services, and native ones, which are true to
// 4.5%. A Histogram has no lock: whoever shares one guards it. It takes 2 KB however much
// is counted, and does not allocate while it counts.
package latency

import (
	"math"
	"slices"
	"time"
)

// Bounds are the upper bounds of the classic buckets, in seconds.
var Bounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60}

const (
	// Schema says that each power of two has 2^Schema native buckets.
	Schema = 3
	// Zero is the upper bound of the native bucket of the shortest times, in seconds.
	Zero = 1.0 / (1 << lowest)

	lowest  = 17
	highest = 12 // 2^highest seconds are more than an hour: longer times count as that
	steps   = 1 << Schema
)

// fractions are the bounds of the native buckets between 0.5, exclusive, and 1.
var fractions = func() (all [steps]float64) {
	for i := range all {
		all[i] = math.Exp2(float64(i+1)/steps - 1)
	}
	return all
}()

// Histogram counts durations. The zero value is ready to use.
type Histogram struct {
	count   uint64
	sum     time.Duration
	zero    uint64
	classic [len(Bounds)]uint64 // not cumulative
	native  [(lowest + highest) * steps]uint64
}

// Add counts a duration.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.count++
	h.sum += d
	seconds := d.Seconds()
	for i, bound := range Bounds {
		if seconds <= bound {
			h.classic[i]++
			break
		}
	}
	if seconds <= Zero {
		h.zero++
		return
	}
	h.native[min(key(seconds)-firstKey, len(h.native)-1)]++
}

// firstKey is the number that Prometheus gives to the bucket that begins at Zero.
const firstKey = -lowest*steps + 1

// key returns the number that Prometheus gives to the bucket of a time that is longer than
// Zero.
func key(seconds float64) int {
	fraction, exponent := math.Frexp(seconds)
	i, _ := slices.BinarySearch(fractions[:], fraction)
	if fraction == 0.5 { // the upper bound of the bucket below
		return (exponent - 1) * steps
	}
	return (exponent-1)*steps + i + 1
}

// Counts are what a Histogram has counted. As JSON they go from one program to the next.
type Counts struct {
	Count   uint64             `json:"count"`
	Sum     time.Duration      `json:"sum"`
	Zero    uint64             `json:"zero"`    // up to Zero
	Classic map[float64]uint64 `json:"-"`       // cumulative, by upper bound
	Native  map[int]int64      `json:"native"`  // by the number that Prometheus gives to a bucket; without empty ones
	Each    []uint64           `json:"classic"` // of Bounds, not cumulative
}

// Counts returns what h has counted.
func (h *Histogram) Counts() Counts {
	c := Counts{Count: h.count, Sum: h.sum, Zero: h.zero, Classic: map[float64]uint64{}, Native: map[int]int64{}, Each: slices.Clone(h.classic[:])}
	var below uint64
	for i, bound := range Bounds {
		below += h.classic[i]
		c.Classic[bound] = below
	}
	for i, n := range h.native {
		if n > 0 {
			c.Native[i+firstKey] = int64(n)
		}
	}
	return c
}

// Restore sets h to what another program has counted, if that has the same buckets.
func (h *Histogram) Restore(c Counts) {
	if len(c.Each) != len(h.classic) {
		return
	}
	*h = Histogram{count: c.Count, sum: c.Sum, zero: c.Zero}
	copy(h.classic[:], c.Each)
	for k, n := range c.Native {
		if i := k - firstKey; i >= 0 && i < len(h.native) {
			h.native[i] = uint64(n)
		}
	}
}
