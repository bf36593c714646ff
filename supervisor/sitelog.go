package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/multisite/multisite/supervisor/logs"
	"github.com/multisite/multisite/worker/process"
)

// siteLog is the log of one site.
type siteLog struct {
	*slog.Logger
	site string
	logs *logs.Logs
}

func newSiteLog(l *logs.Logs, site string) siteLog { return siteLog{l.Logger(site), site, l} }

// output logs a line that a worker has written.
func (l siteLog) output(worker, line string) { l.logs.Write(l.site, worker, line) }

// detail logs the traceback of a worker that did not start.
func (l siteLog) detail(err error) {
	var launch *process.LaunchError
	if errors.As(err, &launch) && !strings.HasSuffix(launch.Problem, launch.Detail) {
		for line := range strings.Lines(launch.Detail) {
			l.output("multisite", strings.TrimRight(line, "\n"))
		}
	}
}

// leftovers logs what a worker, service or command had started and what was killed with
// it. A process that is to live on needs a session of its own.
func (l siteLog) leftovers(kind, id string, p *process.Process) {
	if p == nil {
		return
	}
	for _, c := range p.Leftovers() {
		l.Warn("killed with it", kind, id, "pid", c.PID, "command", c.Command)
	}
}

// describeError returns the text of an error, followed by its traceback if the text
// does not end with it.
func describeError(err error) string {
	var launch *process.LaunchError
	if errors.As(err, &launch) && !strings.HasSuffix(launch.Problem, launch.Detail) {
		return fmt.Sprintf("%v\n%s", err, strings.TrimRight(launch.Detail, "\n"))
	}
	return err.Error()
}
