package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/multisite/multisite/supervisor/control"
)

func (c *cli) historyCommand() *cobra.Command {
	var since string
	var memory, asJSON bool
	const use = "history [SITE] [--since 7d] [--memory] [--json]"
	cmd := &cobra.Command{
		Use:   "history [SITE]",
		Short: "Show what sites took and served before",
		Long: "Show memory, requests, errors, times and events of the sites since then, with SITE over\n" +
			"the course of time. There is a point for each minute of the last day, and for each\n" +
			"hour of the last 30 days. MEM is the mean, MOST the most of a point; P50 is a mean by\n" +
			"requests, P99 the worst of a minute.",
		Example:           "  multisite history\n  multisite history shop --since 12h\n  multisite history shop --since 7d --memory",
		Args:              atMost(1, use),
		ValidArgsFunction: c.completeSites(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			site := strings.Join(args, "")
			age, err := parseAge(since)
			if err == nil && memory && site == "" {
				err = errors.New("--memory needs a site")
			}
			if err != nil {
				return &usageError{err: err, hint: "usage: multisite " + use}
			}
			now := time.Now()
			var h control.History
			err = c.call(func(client *control.Client) (err error) {
				h, err = client.History(cmd.Context(), site, now.Add(-age))
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(h)
			}
			return printHistory(newDisplay(cmd.OutOrStdout()), h, site, now.Add(-age), now, memory)
		},
	}
	cmd.Flags().StringVar(&since, "since", "24h", "how far back: 30m, 12h, 7d")
	cmd.Flags().BoolVar(&memory, "memory", false, "draw the memory of the site")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON: bytes, seconds, RFC 3339 times")
	return cmd
}

// parseAge reads a duration, which may be in days.
func parseAge(s string) (time.Duration, error) {
	const most = 365
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= most {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 && d <= most*24*time.Hour {
		return d, nil
	}
	return 0, fmt.Errorf(`--since %s is not a time back such as "30m", "12h" or "7d"`, s)
}

// spell sums up points.
type spell struct {
	who, lastEvent   string
	points           int
	pss, most        int64 // pss is the sum over the points
	requests, errors int64
	p50, p99         float64 // p50 is the sum over the requests

}

func (s *spell) add(p control.Point) {
	s.points++
	s.pss += p.PSS
	s.most = max(s.most, p.PSS)
	s.requests += p.Requests
	s.errors += p.Errors
	s.p50 += p.P50 * float64(p.Requests)
	s.p99 = max(s.p99, p.P99)
}

func (s *spell) cells() []string {
	n, requests := int64(max(s.points, 1)), float64(max(s.requests, 1))
	return []string{s.who, size(s.pss / n), size(s.most), countOf(s.requests), countOf(s.errors), latency(s.p50 / requests), latency(s.p99), s.lastEvent}
}

// mostSpells is how many rows a table has for one site.
const mostSpells = 24

func printHistory(s *display, h control.History, site string, from, now time.Time, memory bool) error {
	if len(h.Points) == 0 {
		_, err := fmt.Fprintln(s.w, "nothing was recorded; there is a point a minute")
		return err
	}
	if first := h.Points[0].Time; first.After(from) {
		from = first
	}
	if memory {
		return drawMemory(s, h.Points, from, now)
	}
	head := "SITE"
	spells := spellsBySite(h)
	if site != "" {
		head, spells = "TIME", spellsByTime(h, from, now)
	}
	t := newTable(column{head: head}, column{head: "MEM", right: true}, column{head: "MOST", right: true}, column{head: "REQ", right: true},
		column{head: "ERR", right: true}, column{head: "P50", right: true}, column{head: "P99", right: true}, column{head: "EVENTS", least: 10})
	for _, one := range spells {
		t.row(one.cells()...)
	}
	t.write(s)
	return nil
}

func spellsBySite(h control.History) (all []*spell) {
	by := map[string]*spell{}
	for _, p := range h.Points {
		if by[p.Site] == nil {
			by[p.Site] = &spell{who: p.Site}
			all = append(all, by[p.Site])
		}
		by[p.Site].add(p)
	}
	for _, e := range h.Events {
		if one := by[e.Site]; one != nil {
			one.event(e)
		}
	}
	return all
}

func spellsByTime(h control.History, from, now time.Time) (all []*spell) {
	step := max(now.Sub(from)/mostSpells, time.Minute).Round(time.Minute)
	at := func(t time.Time) *spell {
		i := min(int(max(t.Sub(from), 0)/step), mostSpells)
		for len(all) <= i {
			begins := from.Add(time.Duration(len(all)) * step)
			all = append(all, &spell{who: clock(begins, now)})
		}
		return all[i]
	}
	for _, p := range h.Points {
		at(p.Time).add(p)
	}
	for _, e := range h.Events {
		at(e.Time).event(e)
	}
	return all
}

// event notes an event, of which only the last kinds are shown. Events come newest first.
func (s *spell) event(e control.Event) {
	what := e.Kind
	if e.Reason != "" {
		what += " (" + e.Reason + ")"
	}
	if !strings.Contains(s.lastEvent, what) {
		s.lastEvent = strings.TrimPrefix(s.lastEvent+", "+what, ", ")
	}
}
