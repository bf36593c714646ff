package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// printSupervisor prints what there is to tell of the supervisor itself.
func printSupervisor(s *display, st status.Status, now time.Time) {
	v := st.Supervisor
	s.say(fmt.Sprintf("supervisor  %s, pid %d, up %s, %s, %s", mb(v.Memory.PSS), v.PID, age(now.Sub(v.Started)), addresses(v), v.Version), plain)
	if v.Others.PSS > 0 {
		s.say(fmt.Sprintf("others      %s of processes that belong to no site", mb(v.Others.PSS)), plain)
	}
	if line := firstToEnd(st.Sites, now); line != "" {
		s.wrap("TLS", line, plain)
	}
	printMerging(s, v.Merging)
	if line := refusedLine(v.Refused); line != "" {
		s.say(line, plain)
	}
	if n := v.Connections; n.Refused+n.RefusedPerIP > 0 {
		s.say(fmt.Sprintf("connections %d open; refused %d (max_connections) and %d (max_connections_per_ip)", n.Open, n.Refused, n.RefusedPerIP), plain)
	}
	if f := v.Failed; f != nil {
		s.wrap("failed", fmt.Sprintf("%s at %s, which has changed nothing: %s", f.What, clock(f.At, now), fromHere(f.Error)), red)
	}
}

// addresses returns where the front door listens.
func addresses(s status.Supervisor) string {
	all := strings.Join(s.Listen, " ")
	if len(s.ListenTLS) > 0 {
		all += ", TLS " + strings.Join(s.ListenTLS, " ")
	}
	return all
}

// printMerging prints what the kernel does for merge_pages; m is nil without that key.
func printMerging(s *display, m *status.Merging) {
	switch {
	case m == nil:
	case m.Problem != "":
		s.say("merge_pages "+m.Problem, plain)
	case !m.On:
		s.say("merge_pages the kernel's switch was turned off by others", plain)
	default:
		s.wrap("merged", fmt.Sprintf("%s of these processes; the whole machine saves %s; ksmd has used %.1f s of processor time",
			mb(m.Merged), mb(m.Saved), m.Ksmd), plain)
	}
}

// refusedLine returns how many requests the front door refused, by status; "" for none.
func refusedLine(refused map[int]int64) string {
	var counts []string
	for _, status := range slices.Sorted(maps.Keys(refused)) {
		counts = append(counts, fmt.Sprintf("%d × %d", refused[status], status))
	}
	if len(counts) == 0 {
		return ""
	}
	return fmt.Sprintf("refused     %s, see multisite.access.log", strings.Join(counts, ", "))
}

// printNotes prints a line for each thing that is worth telling of the sites.
func printNotes(s *display, st status.Status, now time.Time) {
	cutOne := ""
	for _, site := range st.Sites {
		for _, n := range notesOf(site, now) {
			line, _, more := strings.Cut(n.text, "\n")
			if more || len([]rune(line)) > s.width {
				cutOne = cmp.Or(cutOne, site.Name)
			}
			s.say(line, n.style)
		}
	}
	if cutOne != "" {
		s.say("the whole of it: multisite status "+cutOne, faint)
	}
}

// text prints text of several lines.
func (s *display) text(text string, look style) {
	fmt.Fprintln(s.w, s.paint(strings.TrimRight(text, "\n"), look))
}

// note is something that is worth telling of a site.
type note struct {
	text  string
	style style
}

// butFor returns who gets a site that is closed.
func butFor(allow []string) string {
	if len(allow) == 0 {
		return ""
	}
	return " but " + strings.Join(allow, ", ")
}

// notesOf returns what is worth telling of a site, what needs a person first.
func notesOf(site status.Site, now time.Time) (notes []note) {
	add := func(look style, format string, args ...any) {
		notes = append(notes, note{site.Name + ": " + fmt.Sprintf(format, args...), look})
	}
	if site.LastError != "" {
		add(red, "%s", site.LastError)
	}
	if f := site.Failed; f != nil {
		add(red, "%s at %s failed: %s", f.What, clock(f.At, now), f.Error)
	}
	for _, c := range site.Certificates {
		if text := certificateNote(c, now); text != "" {
			add(red, "%s", text)
		}
	}
	if m := site.Maintenance; m != nil {
		add(amber, "maintenance since %s: 503 for all%s", clock(m.Since, now), butFor(m.Allow))
	}
	if p := site.Paused; p != nil {
		add(amber, "paused since %s, until %s at the latest: %s", p.Since.Local().Format(time.TimeOnly), p.Until.Local().Format(time.TimeOnly), plural(site.Requests.Queued, "request")+" waiting")
	}
	for _, v := range site.Services {
		if v.Looping {
			add(red, "service.%s fails again and again: %s, %s", v.Name, restarts(v.Restarts), v.LastExit)
		}
	}
	if f := site.Processes.File; f != nil {
		add(plain, "scaled by hand; sites.toml says %s", rangeOf(*f))
	}
	if preloadMatters(site.Preload) {
		add(plain, "preload: %s", site.Preload)
	}
	for _, problem := range site.Warmup {
		add(plain, "warm-up: %s", problem)
	}
	if site.SelfRoll != nil {
		add(plain, "%s", selfRoll(*site.SelfRoll, now))
	}
	return notes
}

func rangeOf(r status.Range) string {
	if r.Min == r.Max {
		return fmt.Sprint(r.Max)
	}
	return fmt.Sprintf("%d to %d", r.Min, r.Max)
}

// ordinary is what status says of how memory is shared where there is nothing to explain.
var ordinary = []string{"", "on", "on (project)", "off", "one worker"}

// preloadMatters reports whether how a site is loaded is worth telling.
func preloadMatters(note string) bool {
	if strings.Contains(note, ", warmed up to ") && !strings.Contains(note, "left out") {
		return false
	}
	return !slices.Contains(ordinary, note)
}

// selfRoll returns that a site has replaced its workers by itself, and what that has saved.
func selfRoll(r status.SelfRoll, now time.Time) string {
	line := fmt.Sprintf("workers replaced at %s, to share what visitors ask for most", clock(r.At, now))
	switch {
	case r.Saved == nil:
		return line
	case *r.Saved < 0:
		return line + ", which costs " + mb(-*r.Saved)
	}
	return line + ", which saves " + mb(*r.Saved)
}
