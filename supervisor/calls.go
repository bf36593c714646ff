package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/supervisor/pool"
)

// Ready returns when every site has all its workers, or has failed to start them; the
// error names the sites that have failed.
func (s *Supervisor) Ready(ctx context.Context) error {
	sites := s.sites.all()
	errs := make([]error, len(sites))
	var wg sync.WaitGroup
	for i, site := range sites {
		wg.Go(func() { errs[i] = explain(site.config(), site.pool.AwaitTarget(ctx)) })
	}
	wg.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	all := &control.Error{Message: fmt.Sprintf("%d of %d sites do not start", len(failed), len(sites))}
	for _, err := range failed {
		var e *control.Error
		errors.As(err, &e)
		all.Detail += e.Message + "\n"
		if detail := strings.TrimRight(e.Detail, "\n"); !strings.HasSuffix(e.Message, detail) { // a detail that the message ends with, or an empty one, is left out
			all.Detail += detail + "\n"
		}
	}
	return all
}

// Scale sets the number of workers of sites and returns when it is reached. A site that
// cannot reach it keeps the number that it had.
func (s *Supervisor) Scale(ctx context.Context, scales []control.Scale) error {
	if s.upgrader.active.Load() {
		return errUpgrading
	}
	sites := make([]*site, len(scales))
	for i, scale := range scales {
		var err error
		if sites[i], err = s.sites.find(scale.Site); err != nil {
			return err
		}
		if scale.Processes < 0 {
			return &control.Error{Message: fmt.Sprintf("scale %s: %d is not a number of processes", scale.Site, scale.Processes), Usage: true}
		}
		if err := sites[i].hasRoomFor(sites[i].config(), scale.Processes); err != nil {
			return err
		}
	}
	errs := make([]error, len(scales))
	var wg sync.WaitGroup
	for i, site := range sites {
		wg.Go(func() { errs[i] = explain(site.config(), site.scale(ctx, scales[i].Processes)) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// scale sets the number of the site's workers. The journal keeps a number that was
// reached, or is about to be when some workers have exited.
func (t *site) scale(ctx context.Context, n int) error {
	err := t.pool.Scale(ctx, n)
	st := t.pool.Status()
	if st.Min == n && st.Max == n {
		t.happened(time.Now(), fmt.Sprintf("scale %d", n))
		if err := t.super.journal.SetScale(context.WithoutCancel(ctx), t.name, n); err != nil {
			t.log.Warn("the number of workers could not be saved and is lost at the next start", "error", err)
		}
		return err
	}
	return fmt.Errorf("%d workers were not reached, it has %d as before: %w", n, st.Desired, err)
}

// Restart replaces all workers of a site by new ones, which run the code of now.
func (s *Supervisor) Restart(ctx context.Context, name string) error {
	if s.upgrader.active.Load() {
		return errUpgrading
	}
	site, err := s.sites.find(name)
	if err != nil {
		return err
	}
	next, err := site.newGeneration(site.config(), s.lookAtCode())
	if err != nil {
		return err
	}
	return explain(next.cfg, site.roll(ctx, next, pool.ReasonRestart, func() {}))
}

// Down lets Run return, and returns when the last worker has exited.
func (s *Supervisor) Down(ctx context.Context) error {
	s.life.end()
	select {
	case <-s.life.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Logs writes the last lines of a site's log, or of all logs, and then new ones if the
// query asks for them.
func (s *Supervisor) Logs(ctx context.Context, q control.LogQuery, w io.Writer) error {
	names := []string{q.Site}
	if q.Site == "" {
		names = []string{logs.Supervisor}
		for _, site := range s.sites.all() {
			names = append(names, site.name)
		}
	} else if _, err := s.sites.find(q.Site); err != nil {
		return err
	}
	var stream *logs.Stream
	if q.Follow { // before the tail is read, so that no line is missed
		stream = s.logs.Stream(q.Site)
		defer stream.Close()
	}
	s.logs.Flush()
	lines, err := logs.Tail(s.logs.Dir(), names, q.Lines)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, strings.Join(lines, "")); err != nil || stream == nil {
		return err
	}
	return stream.Copy(ctx, w, lines)
}

// ReopenLogs is called after log files were renamed: when it returns, nothing more is
// written to those. No file is kept open, so it only has to wait for what is being written.
func (s *Supervisor) ReopenLogs() { s.logs.Flush() }

// Dashboard returns the address of the dashboard, with its token.
func (s *Supervisor) Dashboard(context.Context) (control.Dashboard, error) {
	url, err := s.endpoints.dashboard()
	return control.Dashboard{URL: url}, err
}
