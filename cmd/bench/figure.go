package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// figure is one thing measured in each round.
type figure struct {
	rounds []float64
	digits int // after the decimal point
}

// addBytes adds a size, in MB.
func (f *figure) addBytes(n int64) {
	f.digits = 1
	f.add(float64(n) / 1e6)
}

func (f figure) median() float64 { return median(f.rounds) }

func (f *figure) add(v float64) { f.rounds = append(f.rounds, v) }

// last returns the value of the last round.
func (f figure) last() float64 {
	if len(f.rounds) == 0 {
		return 0
	}
	return f.rounds[len(f.rounds)-1]
}

// short returns the median alone.
func (f figure) short() string {
	if len(f.rounds) == 0 {
		return "–"
	}
	return f.format(f.median())
}

// String returns the median, with the lowest and the highest value if they differ from it.
func (f figure) String() string {
	if len(f.rounds) == 0 {
		return "–"
	}
	m, low, high := f.format(f.median()), f.format(slices.Min(f.rounds)), f.format(slices.Max(f.rounds))
	if low == high {
		return m
	}
	return fmt.Sprintf("%s (%s–%s)", m, low, high)
}

func (f figure) format(v float64) string { return fmt.Sprintf("%.*f", f.digits, v) }

// MarshalJSON writes everything known about the figure.
func (f figure) MarshalJSON() ([]byte, error) {
	if len(f.rounds) == 0 {
		return []byte("null"), nil
	}
	return json.Marshal(map[string]any{
		"median": f.median(), "min": slices.Min(f.rounds), "max": slices.Max(f.rounds), "rounds": f.rounds,
	})
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns the q-quantile of the values, or 0 if there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// milliseconds converts durations to numbers.
func milliseconds(times []time.Duration) []float64 {
	ms := make([]float64, len(times))
	for i, t := range times {
		ms[i] = float64(t) / float64(time.Millisecond)
	}
	return ms
}

// divide returns a / b, or 0 for nothing.
func divide(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// ratio returns "0.45 ×", or a dash if one of the values is missing.
func ratio(a, b float64) string {
	if a == 0 || b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f ×", a/b)
}
