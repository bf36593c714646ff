package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// history is what top has seen of a site, the last minutes of it.
type history struct{ memory, requests []float64 }

const seen = 60 // values of a history: two minutes

func (h *history) add(memory, requests float64) {
	keep := func(all []float64, v float64) []float64 {
		return append(all[max(len(all)-seen+1, 0):], v)
	}
	h.memory, h.requests = keep(slices.Clone(h.memory), memory), keep(slices.Clone(h.requests), requests)
}

// chartOf returns values as a small chart, in steps from least to greatest.
func chartOf(values []float64, least, greatest float64) string {
	const bars = "▁▂▃▄▅▆▇█"
	steps := []rune(bars)
	var b strings.Builder
	for _, v := range values {
		i := 0
		if greatest > least {
			i = int((v - least) / (greatest - least) * float64(len(steps)-1))
		}
		b.WriteRune(steps[min(max(i, 0), len(steps)-1)])
	}
	return b.String()
}

// room returns how many lines there are between head and foot.
func (m *top) room() int { return max(m.height-3, 1) }

// View returns what the terminal shows: a head, the page, and a line about the keys.
func (m *top) View() tea.View {
	colour := os.Getenv("NO_COLOR") == ""
	var page bytes.Buffer
	d := &display{w: &page, width: max(m.width, 40), colour: colour, terminal: true}
	switch {
	case m.at.IsZero():
		d.say("…", faint)
	case m.page == sitePage && m.selected() >= 0:
		m.viewSite(d)
	case m.page == logPage:
		d.say("log of "+m.site, bold)
		for _, line := range m.logLines(d.width, m.room()+1) {
			d.say(line, plain)
		}
	default:
		m.viewSites(d)
	}
	lines := strings.Split(strings.TrimRight(page.String(), "\n"), "\n")
	lines = lines[:min(len(lines), m.height-1)]
	for len(lines) < m.height-1 {
		lines = append(lines, "")
	}
	view := tea.NewView(strings.Join(append(lines, m.foot(d)), "\n"))
	view.AltScreen = true
	view.WindowTitle = "multisite"
	return view
}

// viewSites prints a row for each site, those around the selected one.
func (m *top) viewSites(d *display) {
	d.say(headline(m.st), headStyle(m.st))
	var rows bytes.Buffer
	to := *d
	to.w = &rows
	m.sitesTable(d.width).write(&to)
	lines := strings.Split(strings.TrimRight(rows.String(), "\n"), "\n")
	fmt.Fprintln(d.w, lines[0])
	lines = lines[1:]
	room, at := m.room(), m.selected()
	m.scroll = min(max(m.scroll, at-room+1), max(at, 0))
	m.scroll = max(min(m.scroll, len(lines)-room), 0)
	for _, line := range lines[m.scroll:min(m.scroll+room, len(lines))] {
		fmt.Fprintln(d.w, line)
	}
}

// sitesTable is the table of status with charts, and fewer numbers where it is narrow.
func (m *top) sitesTable(width int) *table {
	wide, chart := width >= 100, 8
	if width >= 120 {
		chart = 16
	}
	columns := []column{
		{head: " "}, {head: "SITE", least: 8}, {head: "WORKERS"}, {head: "MEM", right: true}, {head: ""}, {head: "SAVED", right: true},
		{head: "REQ/S", right: true}, {head: ""}, {head: "P50", right: true}, {head: "P99", right: true},
		{head: "ERR/H", right: true}, {head: "QUEUE", right: true}, {head: "LAST EVENT", least: 8},
	}
	t := newTable(columns...)
	for _, site := range m.st.Sites {
		q, h := site.Requests, m.history[site.Name]
		mark, name, saved, p50 := " ", bold, "", ""
		if site.Name == m.site {
			mark, name = "›", inverse
		}
		if wide {
			saved, p50 = size(max(site.Memory.Saved, 0)), latency(q.P50)
		}
		t.add(
			cell{mark, bold}, cell{site.Name, name}, cell{workersOf(site), stateStyle(site.State)},
			cell{size(site.Total().PSS), plain}, cell{h.memoryChart(chart), faint}, cell{saved, plain},
			cell{rate(q.PerSecond), plain}, cell{h.requestsChart(chart), faint},
			cell{p50, plain}, cell{latency(q.P99), plain},
			cell{countOf(q.LastHour), alarmIf(q.LastHour > 0)}, cell{countOf(int64(q.Queued)), alarmIf(q.Queued > 0)},
			cell{lastEvent(site, m.at), eventStyle(site)},
		)
	}
	return t
}

// memoryChart shows how memory has changed lately. Its scale does not begin at zero, or some
// megabytes more or less would not be seen; what does not change is in the middle.
func (h *history) memoryChart(width int) string {
	values := h.memory[max(len(h.memory)-width, 0):]
	if len(values) == 0 {
		return ""
	}
	margin := slices.Max(values) / 10
	return chartOf(values, slices.Min(values)-margin, slices.Max(values)+margin)
}

// requestsChart shows how many requests a second there were lately, from none on.
func (h *history) requestsChart(width int) string {
	values := h.requests[max(len(h.requests)-width, 0):]
	if len(values) == 0 {
		return ""
	}
	return chartOf(values, 0, slices.Max(values))
}

// viewSite prints all of one site.
func (m *top) viewSite(d *display) {
	site := m.st.Sites[m.selected()]
	h := m.history[site.Name]
	var all bytes.Buffer
	to := *d
	to.w = &all
	chart := min(seen, d.width-30)
	to.say(fmt.Sprintf("%-11s %s", "memory", h.memoryChart(chart)), faint)
	to.say(fmt.Sprintf("%-11s %s", "requests/s", h.requestsChart(chart)), faint)
	printSite(&to, site, m.at)
	lines := strings.Split(strings.TrimRight(all.String(), "\n"), "\n")
	m.scroll = min(m.scroll, max(len(lines)-m.room()-2, 0))
	fmt.Fprintln(d.w, strings.Join(lines[m.scroll:], "\n"))
}

// foot returns the last line: a question, what became of a command, or what keys do.
func (m *top) foot(d *display) string {
	var text string
	var look style
	switch {
	case m.question != nil:
		text, look = m.question.text+"? y or n", amber
	case m.err != nil:
		text, look = "no answer from the supervisor: "+m.err.Error(), red
	case m.note != "":
		text, look = m.note, bold
	case m.page == sitesPage:
		text, look = "enter workers  l log  +- scale  r reload  R restart  p pause  s by "+m.order+"  q", faint
	case m.page == sitePage:
		text, look = "esc sites  ↑↓ scroll  l log  +- scale  r reload  R restart  p pause", faint
	default:
		text, look = "esc sites  ↑↓ scroll  end follows", faint
	}
	return d.paint(cut(oneLine(text), d.width), look)
}
