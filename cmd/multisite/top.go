package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

func (c *cli) topCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Watch sites and workers, and scale, reload and restart them by a key",
		Long: "Show the sites with their memory and requests of the last minutes, again every two\n" +
			"seconds. Enter shows the workers of a site, l follows its log, and the last line says\n" +
			"what other keys do.",
		Args: exactly(0, "top"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !term.IsTerminal(int(os.Stdout.Fd())) || !term.IsTerminal(int(os.Stdin.Fd())) {
				return &usageError{err: errors.New("top needs a terminal"), hint: "multisite status --watch does not"}
			}
			return c.call(func(client *control.Client) error {
				if _, err := client.About(cmd.Context()); err != nil {
					return err
				}
				return runTop(cmd.Context(), client)
			})
		},
	}
}

// runTop shows the model until it ends. The terminal is as it was before when it returns,
// also after SIGTERM or a panic.
func runTop(ctx context.Context, client supervised, options ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := tea.NewProgram(newTop(ctx, client), append(options, tea.WithContext(ctx))...).Run()
	if errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("top: %w", err)
	}
	return nil
}

// supervised is what top needs of a running supervisor.
type supervised interface {
	StatusWithin(ctx context.Context, maxAge time.Duration) (status.Status, error)
	Scale(ctx context.Context, scales []control.Scale) error
	Restart(ctx context.Context, site string) error
	Reload(ctx context.Context, site string) (string, error)
	Pause(ctx context.Context, site string, most time.Duration) (control.Paused, error)
	Resume(ctx context.Context, site string) (control.Resumed, error)
	Logs(ctx context.Context, q control.LogQuery, w io.Writer) error
}

// topPage is what top shows.
type topPage int

const (
	sitesPage topPage = iota
	sitePage          // the workers of one site
	logPage           // its log
)

// top is the model: Update changes it, and View shows it. Only bubbletea's goroutine uses it.
type top struct {
	ctx    context.Context // of the program
	client supervised

	width, height int
	page          topPage
	st            status.Status
	at            time.Time // of st; zero: there is none yet
	err           error     // why there is no newer one
	history       map[string]*history

	order  string // a key of orders
	site   string // the name of the site that is selected, or shown
	scroll int    // the first line that is shown; of the log, how many lines before the last

	question *question // asked in the last line; nil: none
	note     string    // what became of the last command

	log    *logTail // nil: none is followed
	logged []string // its lines, the last ones
}

// question asks whether a command is to run.
type question struct {
	text string
	yes  tea.Cmd
}

func newTop(ctx context.Context, client supervised) *top {
	return &top{ctx: ctx, client: client, width: leastWidth, height: 24, order: "attention", history: map[string]*history{}}
}

// Messages to Update.
type (
	statusMsg struct {
		st  status.Status
		at  time.Time
		err error
	}
	lookMsg struct{} // it is time for the next status
	doneMsg string   // what became of a command
)

// Init asks for the first status.
func (m *top) Init() tea.Cmd { return m.look }

// look asks for the status.
func (m *top) look() tea.Msg {
	ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
	defer cancel()
	st, err := m.client.StatusWithin(ctx, watchAge)
	return statusMsg{st, time.Now(), err}
}

// Update changes the model.
func (m *top) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case statusMsg:
		m.take(msg)
		return m, tea.Tick(watchPeriod, func(time.Time) tea.Msg { return lookMsg{} })
	case lookMsg:
		return m, m.look
	case onceMsg:
		m.take(statusMsg(msg))
	case doneMsg:
		m.note = string(msg)
		return m, m.lookOnce
	case logMsg:
		return m, m.takeLog(msg)
	case tea.KeyPressMsg:
		return m, m.press(msg.String())
	}
	return m, nil
}

// lookOnce asks for the status once more, between two looks.
func (m *top) lookOnce() tea.Msg {
	if got := m.look().(statusMsg); got.err == nil {
		return onceMsg(got)
	}
	return nil
}

// onceMsg is a status after which no look follows.
type onceMsg statusMsg

// take takes a status.
func (m *top) take(msg statusMsg) {
	if m.err = msg.err; m.err != nil {
		return
	}
	m.st, m.at = msg.st, msg.at
	known := map[string]*history{}
	for _, site := range m.st.Sites {
		h := m.history[site.Name]
		if h == nil {
			h = &history{}
		}
		h.add(float64(site.Total().PSS), site.Requests.PerSecond)
		known[site.Name] = h
	}
	m.history = known
	slices.SortStableFunc(m.st.Sites, orders[m.order])
	if m.selected() < 0 && len(m.st.Sites) > 0 {
		if m.page != sitesPage {
			m.leave()
			m.note = "site " + m.site + " was removed"
		}
		m.site = m.st.Sites[0].Name
	}
}

// selected returns the index of the selected site; -1 if there is none.
func (m *top) selected() int {
	return slices.IndexFunc(m.st.Sites, func(s status.Site) bool { return s.Name == m.site })
}
