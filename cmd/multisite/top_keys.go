package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/multisite/multisite/supervisor/control"
)

// longestPause is after how long a site that was paused by a key goes on by itself.
const longestPause = 30 * time.Second

// press does what a key says.
func (m *top) press(key string) tea.Cmd {
	if q := m.question; q != nil {
		m.question = nil
		if key == "y" {
			m.note = q.text + "…"
			return q.yes
		}
		m.note = ""
		return nil
	}
	m.note = ""
	switch key {
	case "ctrl+c":
		return tea.Quit
	case "q", "esc":
		if m.page == sitesPage {
			return tea.Quit
		}
		m.leave()
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.room())
	case "pgdown", "space":
		m.move(m.room())
	case "home", "g":
		m.move(-1 << 20)
	case "end", "G":
		m.move(1 << 20)
	case "s":
		m.nextOrder()
	case "enter":
		m.enter()
	default:
		return m.command(key)
	}
	return nil
}

// command does what a key says to the selected site.
func (m *top) command(key string) tea.Cmd {
	i := m.selected()
	if i < 0 {
		return nil
	}
	site, workers := m.site, m.st.Sites[i].Processes.Desired
	switch key {
	case "+", "=":
		m.ask(fmt.Sprintf("scale %s to %d", site, workers+1), m.scaled(site, workers+1))
	case "-":
		if workers > 0 {
			m.ask(fmt.Sprintf("scale %s to %d", site, workers-1), m.scaled(site, workers-1))
		}
	case "R":
		m.ask("restart "+site, func() tea.Msg { return done("restart "+site, "", m.client.Restart(m.ctx, site)) })
	case "r":
		m.note = "reload " + site + "…"
		return func() tea.Msg {
			did, err := m.client.Reload(m.ctx, site)
			return done("reload "+site, did, err)
		}
	case "p":
		if m.st.Sites[i].Paused != nil {
			m.note = "resume " + site + "…"
			return func() tea.Msg {
				_, err := m.client.Resume(m.ctx, site)
				return done("resume "+site, "", err)
			}
		}
		m.ask(fmt.Sprintf("pause %s for at most %v", site, longestPause), func() tea.Msg {
			_, err := m.client.Pause(m.ctx, site, longestPause)
			return done("pause "+site, "", err)
		})
	case "l":
		return m.follow(site)
	}
	return nil
}

func (m *top) ask(text string, yes tea.Cmd) { m.question = &question{text, yes} }

func (m *top) scaled(site string, n int) tea.Cmd {
	return func() tea.Msg {
		err := m.client.Scale(m.ctx, []control.Scale{{Site: site, Processes: n}})
		return done(fmt.Sprintf("scale %s to %d", site, n), "", err)
	}
}

// done returns what became of a command, in a line.
func done(what, did string, err error) tea.Msg {
	var call *control.Error
	switch {
	case errors.As(err, &call) && call.Hint != "":
		return doneMsg(what + " failed: " + call.Message + " (" + call.Hint + ")")
	case err != nil:
		return doneMsg(what + " failed: " + err.Error())
	case did != "":
		return doneMsg(strings.ReplaceAll(strings.TrimSpace(did), "\n", "; "))
	}
	return doneMsg(what + ": done")
}

// move moves the selection, or what is shown.
func (m *top) move(by int) {
	if m.page != sitesPage {
		if m.page == logPage { // counted from its end
			by = -by
		}
		m.scroll = max(m.scroll+by, 0)
		return
	}
	if len(m.st.Sites) > 0 {
		m.site = m.st.Sites[min(max(m.selected()+by, 0), len(m.st.Sites)-1)].Name
	}
}

// nextOrder sorts the sites in another order.
func (m *top) nextOrder() {
	names := slices.Sorted(maps.Keys(orders))
	m.order = names[(slices.Index(names, m.order)+1)%len(names)]
	slices.SortStableFunc(m.st.Sites, orders["name"])
	slices.SortStableFunc(m.st.Sites, orders[m.order])
}

// enter shows the workers of the selected site.
func (m *top) enter() {
	if m.page == sitesPage && m.selected() >= 0 {
		m.page, m.scroll = sitePage, 0
	}
}

// leave goes back to the page before.
func (m *top) leave() {
	if m.log != nil {
		m.log.close()
		m.log, m.logged = nil, nil
	}
	m.page, m.scroll = sitesPage, 0
}
