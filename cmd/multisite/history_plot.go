package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/control"
)

const (
	plotRows   = 12
	plotMargin = 8 // for the sizes at the left
)

// drawMemory draws the memory of a site, from 0 to the most, with a column for each
// stretch of time. A column without a point is empty.
func drawMemory(s *display, points []control.Point, from, now time.Time) error {
	width := min(s.width, 120) - plotMargin - 2
	columns := make([]int64, width) // the most of each
	at := func(t time.Time) float64 { return float64(width) * t.Sub(from).Seconds() / now.Sub(from).Seconds() }
	var top int64
	for _, p := range points {
		first := min(max(int(at(p.Time)), 0), width-1)
		end := int(math.Ceil(at(p.Time.Add(time.Duration(p.Span * float64(time.Second))))))
		for i := first; i < min(max(end, first+1), width); i++ {
			columns[i] = max(columns[i], p.PSS)
		}
		top = max(top, p.PSS)
	}
	eighths := []rune(" ▁▂▃▄▅▆▇█")
	for row := plotRows - 1; row >= 0; row-- {
		label := ""
		if row == plotRows-1 || row == plotRows/2 {
			label = size(top * int64(row+1) / plotRows)
		}
		var line strings.Builder
		for _, v := range columns {
			filled := int(v*plotRows*8/max(top, 1)) - row*8
			line.WriteRune(eighths[min(max(filled, 0), 8)])
		}
		if _, err := fmt.Fprintf(s.w, "%*s │%s\n", plotMargin, label, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	begin, end := clock(from, now), clock(now, now)
	_, err := fmt.Fprintf(s.w, "%*s └%s\n%*s  %s%*s\n", plotMargin, "0", strings.Repeat("─", width), plotMargin, "", begin, width-len(begin), end)
	return err
}
