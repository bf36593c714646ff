package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	watchPeriod = 2 * time.Second
	// watchAge is how old measurements of memory may be for those who watch: reading 50
	// workers each time would take several percent of a processor.
	watchAge = 15 * time.Second
)

// watchStatus shows the status again and again, until it is interrupted. On a terminal
// the new one takes the place of the old one; what does not fit is cut.
func (c *cli) watchStatus(cmd *cobra.Command, site string, f statusFlags) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ticker := time.NewTicker(watchPeriod)
	defer ticker.Stop()
	for {
		st, err := c.statusOf(ctx, site, watchAge)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		s := newDisplay(cmd.OutOrStdout())
		var page bytes.Buffer
		to := *s
		to.w = &page
		f.print(&to, st, site, time.Now())
		if err := s.replace(page.String()); err != nil {
			return nil // nobody reads it any more
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// replace shows a page in place of what is on the terminal; elsewhere it is printed below
// the last one.
func (s *display) replace(page string) error {
	if !s.terminal {
		_, err := fmt.Fprintln(s.w, page)
		return err
	}
	lines := strings.Split(strings.TrimRight(page, "\n"), "\n")
	if _, height, err := term.GetSize(int(s.w.(*os.File).Fd())); err == nil && len(lines) > height-1 {
		lines = lines[:max(height-1, 1)]
	}
	const home, toEnd, rest = "\x1b[H", "\x1b[K\n", "\x1b[J"
	_, err := io.WriteString(s.w, home+strings.Join(lines, toEnd)+toEnd+rest)
	return err
}
