package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/status"
)

// finishSites is a site with services that finish their work when they are told to exit:
// each then waits for a line in its fifo.
const finishSites = subdomain1 + `
processes = 1
shutdown_timeout = "300ms"
[site.subdomain1.service.mail]
command = ["sh", "-c", "trap 'echo told; read line < mail.fifo; echo finished; exit 0' TERM; echo up; sleep 1000 & wait"]
stop_timeout = "10m"
[site.subdomain1.service.queue]
command = ["sh", "-c", "trap 'echo told; read line < queue.fifo; echo finished; exit 0' USR1; echo up; sleep 1000 & wait"]
stop_timeout = "10m"
stop_signal = "USR1"
overlap = true
`

// finishing is a running finishSites.
type finishing struct {
	*running
	fifos map[string]*os.File
}

// finish lets one process of a service that was told to exit do so.
func (f *finishing) finish(service string) {
	f.t.Helper()
	if _, err := f.fifos[service].WriteString("now\n"); err != nil {
		f.t.Fatal(err)
	}
}

// waitService waits until a service is as wanted.
func (f *finishing) waitService(name, what string, is func(status.Service) bool) {
	f.t.Helper()
	eventually(f.t, name+" to be "+what, func() bool { return is(f.service(name)) })
}

// wantTold fails unless a service was told to exit so many times.
func (f *finishing) wantTold(service string, want int) {
	f.t.Helper()
	pattern := regexp.MustCompile(`subdomain1/service\.` + service + ` told\n`)
	eventually(f.t, fmt.Sprintf("%s to be told to exit %d times", service, want), func() bool {
		return len(pattern.FindAllString(f.siteLog("subdomain1"), -1)) == want
	})
}

// TestServiceFinish: a service finishes its work, over a reload, an upgrade, the removal of
// its site, and its return. The parts share one supervisor and run in this order.
func TestServiceFinish(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, pythonSites+finishSites))
	r.start()
	t.Cleanup(func() { endIgnoringErrors(r) })
	f := &finishing{r, map[string]*os.File{}}
	for _, service := range []string{"mail", "queue"} {
		path := filepath.Join(r.dir, service+".fifo")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		fifo, err := os.OpenFile(path, os.O_RDWR, 0) // it keeps what is written before it is read
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { fifo.Close() })
		f.fifos[service] = fifo
		r.waitLog("subdomain1", `subdomain1/service\.`+service+` up$`)
	}
	for _, part := range []struct {
		name string
		test func(*testing.T, *finishing)
	}{
		{"restart", finishRestart},
		{"upgrade", finishUpgrade},
		{"the end", finishEnd},
		{"removal", finishRemoval},
		{"return", finishReturn},
		{"return without an upgrade", finishReturnAtOnce},
		{"down", finishDown},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, &finishing{r.in(t), f.fifos}) })
	}
}

// finishRestart: the new process of mail waits, that of queue does not.
func finishRestart(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.must("restart", "subdomain1")
	f.wantTold("mail", 1)
	f.wantTold("queue", 1)
	now := f.service("mail")
	if now.State != "stopping" || now.PID != mail.PID || now.StopBy == nil || time.Until(*now.StopBy) < 9*time.Minute {
		t.Errorf("mail before %+v, now %+v", mail, now)
	}
	now = f.service("queue")
	if now.State != "running" || now.PID == queue.PID || now.Old == nil || now.Old.PID != queue.PID {
		t.Errorf("queue before %+v, now %+v", queue, now)
	}
	table := strings.Split(f.must("status", "subdomain1"), "\n")
	checkRow(t, table, "service.mail", "stopping", fmt.Sprint(mail.PID), "at most 10m", "more")
	if a := f.get(host1, "/hello/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	f.waitLog("subdomain1", fmt.Sprintf(`level=INFO msg="service stopping" service=subdomain1/service\.queue pid=%d reason=restart signal=SIGUSR1 stop_timeout=10m0s$`, queue.PID))
	second := f.service("queue").PID
	f.must("restart", "subdomain1") // which queue does when the oldest process has exited
	if now := f.service("queue"); now.PID != second || now.Old == nil || now.Old.PID != queue.PID {
		t.Errorf("queue has %+v after a second restart, want %d and %d", now, second, queue.PID)
	}
}

// finishUpgrade: the next supervisor goes on, and tells nobody twice.
func finishUpgrade(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.upgrade()
	now := f.service("mail")
	if now.State != "stopping" || now.PID != mail.PID || !now.StopBy.Equal(*mail.StopBy) {
		t.Errorf("mail before %+v, now %+v", mail, now)
	}
	now = f.service("queue")
	if now.PID != queue.PID || now.Old == nil || now.Old.PID != queue.Old.PID || !now.Old.StopBy.Equal(queue.Old.StopBy) {
		t.Errorf("queue before %+v, now %+v", queue, now)
	}
	f.wantTold("mail", 1)
	f.wantTold("queue", 1)
}

// finishEnd: then the others start, and queue does its second restart.
func finishEnd(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.finish("mail")
	f.waitService("mail", "new", func(s status.Service) bool { return s.State == "running" && s.PID != mail.PID })
	f.finish("queue")
	f.waitService("queue", "replaced again", func(s status.Service) bool {
		return s.State == "running" && s.PID != queue.PID && s.Old != nil && s.Old.PID == queue.PID
	})
	f.wantTold("queue", 2)
	f.finish("queue")
	f.waitService("queue", "alone", func(s status.Service) bool { return s.Old == nil })
	f.waitLog("subdomain1", fmt.Sprintf(`service=subdomain1/service\.mail pid=%d reason=restart exit="exit status 0" age=\S+$`, mail.PID))
	for _, s := range f.site("subdomain1").Services {
		if s.Restarts != 0 || s.LastExit != "" {
			t.Errorf("%+v: nothing went wrong", s)
		}
	}
}

// finishRemoval: status shows what is left of the site, also after an upgrade.
func finishRemoval(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.write(t, "sites.toml", pythonSites+"[site.subdomain2]\nserver_name = \"subdomain2.example.com\"\nsettings = \"subdomain2_settings\"\n")
	out := f.must("reload")
	if want := fmt.Sprintf("subdomain1: removed\nsubdomain1: service.mail (pid %d) finishes its work, at most ", mail.PID); !strings.Contains(out, want) {
		t.Errorf("got %q, want %q", out, want)
	}
	f.upgrade()
	for _, before := range []status.Service{mail, queue} {
		if now := f.service(before.Name); now.PID != before.PID || now.State != "stopping" {
			t.Errorf("before %+v, now %+v", before, now)
		}
	}
	if s := f.site("subdomain1"); s.State != "stopped" || len(s.Workers) != 0 {
		t.Errorf("the removed site is %s with %d workers", s.State, len(s.Workers))
	}
}

// finishReturn: the services of a site that has come back start when the old ones have
// exited.
func finishReturn(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.write(t, "sites.toml", pythonSites+finishSites)
	f.must("reload")
	if a := f.get(host1, "/hello/"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
	for _, before := range []status.Service{mail, queue} {
		if now := f.service(before.Name); now.PID != before.PID || now.State != "stopping" {
			t.Errorf("before %+v, now %+v", before, now)
		}
	}
	f.finish("mail")
	f.finish("queue")
	for _, before := range []status.Service{mail, queue} {
		f.waitService(before.Name, "new", func(s status.Service) bool { return s.State == "running" && s.PID != before.PID })
	}
	f.wantTold("mail", 2)
	f.wantTold("queue", 3)
}

// finishReturnAtOnce: what the removed site has left is no longer of the one that has
// come back: that keeps its sockets when the old services have exited.
func finishReturnAtOnce(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.write(t, "sites.toml", pythonSites+"[site.subdomain2]\nserver_name = \"subdomain2.example.com\"\nsettings = \"subdomain2_settings\"\n")
	f.must("reload")
	f.write(t, "sites.toml", pythonSites+finishSites)
	f.must("reload")
	f.finish("mail")
	f.finish("queue")
	for _, before := range []status.Service{mail, queue} {
		f.waitService(before.Name, "new", func(s status.Service) bool { return s.State == "running" && s.PID != before.PID })
	}
	for range 10 {
		if a := f.get(host1, "/hello/"); a.status != 200 {
			t.Errorf("status %d", a.status)
		}
	}
	for _, w := range f.site("subdomain1").Workers {
		if !exists(w.Socket) {
			t.Errorf("the socket of %s was removed", w.ID)
		}
	}
}

// finishDown: what does not finish is killed, and the log says which limit that was. A
// new stop_timeout counts for the process that runs.
func finishDown(t *testing.T, f *finishing) {
	mail, queue := f.service("mail"), f.service("queue")
	f.edit(t, "stop_timeout = \"10m\"", "stop_timeout = \"300ms\"")
	if got, want := f.must("reload"), "subdomain1: service changed, no worker restarted\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.finish("queue")
	f.must("down")
	<-f.end.ch
	f.waitLog("subdomain1", fmt.Sprintf(`level=WARN msg="service ended" service=subdomain1/service\.mail pid=%d reason="supervisor stop" exit="signal killed \(9\)" age=\S+ limit=stop_timeout$`, mail.PID))
	f.waitLog("subdomain1", fmt.Sprintf(`level=INFO msg="service ended" service=subdomain1/service\.queue pid=%d reason="supervisor stop" exit="exit status 0" age=\S+$`, queue.PID))
}
