package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/multisite/multisite/supervisor/control"
	"github.com/multisite/multisite/supervisor/status"
)

// TestScripts runs the stories of testdata/script: what a person types and reads. Each has a
// directory of its own, $WORK, and must leave nothing running.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpStory,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":  awaitSite,
			"fails":  failWith,
			"gone":   awaitGone,
			"grown":  awaitText,
			"http":   askSite,
			"kill9":  killAll,
			"listen": takePort,
			"pids":   setPIDs,
		},
	})
}

// setUpStory prepares the directory of a story, and checks what the story leaves behind.
func setUpStory(env *testscript.Env) error {
	t := env.T().(testing.TB)
	copyDatabase(t, env.WorkDir)
	program, err := exec.LookPath("multisite")
	if err != nil {
		return err
	}
	env.Vars = append(env.Vars, projectEnv(t, env.WorkDir)...)
	env.Setenv(testPID, os.Getenv(testPID))
	env.Setenv("PROGRAM_DIR", filepath.Dir(program))
	env.Setenv("FULL_PATH", os.Getenv("PATH"))
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	env.Setenv("ROOT", root)
	env.Defer(func() {
		if t.Failed() {
			endSupervisors(t, env.WorkDir)
			return
		}
		checkNothingLeft(t, env.WorkDir)
	})
	return nil
}

// endSupervisors stops the supervisors that a failed story has left running.
func endSupervisors(t testing.TB, dir string) {
	for _, socket := range leftSockets(t, dir) {
		if filepath.Base(socket) == "control.sock" {
			_ = control.NewClient(filepath.Dir(socket)).Down(context.Background()) // its supervisor may be dead
		}
	}
}

// scriptStatus returns the status of the supervisor of $STATE (default .multisite).
func scriptStatus(ts *testscript.TestScript) (status.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dir := ts.MkAbs(cmp.Or(ts.Getenv("STATE"), ".multisite"))
	return control.NewClient(dir).Status(ctx)
}

// awaitSite is `await SITE STATE`: it waits until the site is in that state.
func awaitSite(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) == 2, "await SITE STATE")
	poll(ts, "site "+args[0]+" to be "+args[1], func() bool {
		st, err := scriptStatus(ts)
		ts.Check(err)
		for _, site := range st.Sites {
			if site.Name == args[0] {
				return site.State == args[1]
			}
		}
		ts.Fatalf("no site %s", args[0])
		return false
	})
}

// failWith is `fails CODE PROGRAM ARG...`: the program must end with that code.
func failWith(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) > 1, "fails CODE PROGRAM ARG...")
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || fmt.Sprint(exit.ExitCode()) != args[0] {
		ts.Fatalf("%v, want exit status %s", err, args[0])
	}
}

// awaitGone is `gone PID...`: it waits until the processes have exited.
func awaitGone(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) > 0, "gone PID...")
	for _, pid := range strings.Fields(strings.Join(args, " ")) {
		poll(ts, "process "+pid+" to end", func() bool {
			_, err := os.Stat("/proc/" + pid)
			return err != nil
		})
	}
}

// awaitText is `grown FILE PATTERN`: it waits until the file matches.
func awaitText(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) == 2, "grown FILE PATTERN")
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	poll(ts, args[0]+" to match "+args[1], func() bool {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && re.Match(b)
	})
}

// askSite is `http HOST PATH`: it prints the status line and the body.
func askSite(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) == 2, "http HOST PATH")
	st, err := scriptStatus(ts)
	ts.Check(err)
	req, err := http.NewRequest(http.MethodGet, "http://"+st.Supervisor.Listen[0]+args[1], nil)
	ts.Check(err)
	req.Host = args[0]
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%s\n%s", resp.Status, body)
}

// killAll is `kill9 PID...`.
func killAll(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) > 0, "kill9 PID...")
	for _, arg := range args {
		pid, err := strconv.Atoi(arg)
		ts.Check(err)
		ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	}
}

// takePort is `listen VAR`: it listens on a free port, as another program would, and sets
// VAR to the address.
func takePort(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && len(args) == 1, "listen VAR")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// setPIDs is `pids VAR [SITE]`: it sets VAR to the pids of a site's workers, or to that of
// the supervisor.
func setPIDs(ts *testscript.TestScript, neg bool, args []string) {
	checkUse(ts, !neg && (len(args) == 1 || len(args) == 2), "pids VAR [SITE]")
	st, err := scriptStatus(ts)
	ts.Check(err)
	if len(args) == 1 {
		ts.Setenv(args[0], strconv.Itoa(st.Supervisor.PID))
		return
	}
	var pids []string
	for _, site := range st.Sites {
		for _, w := range site.Workers {
			if site.Name == args[1] {
				pids = append(pids, strconv.Itoa(w.PID))
			}
		}
	}
	ts.Setenv(args[0], strings.Join(pids, " "))
}

func checkUse(ts *testscript.TestScript, ok bool, use string) {
	if !ok {
		ts.Fatalf("usage: %s", use)
	}
}

// poll waits until f returns true.
func poll(ts *testscript.TestScript, what string, f func() bool) {
	if !becomesTrue(patience, f) {
		ts.Fatalf("waited %v for %s", patience, what)
	}
}
