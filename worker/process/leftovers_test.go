package process

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// subreaper makes the test process a subreaper, as the supervisor is one.
func subreaper(t *testing.T) {
	t.Helper()
	if err := BecomeSubreaper(); err != nil {
		t.Fatal(err)
	}
}

// TestLeftovers_AreListed: what a process leaves in its group is killed and listed.
func TestLeftovers_AreListed(t *testing.T) {
	subreaper(t)
	t.Parallel()
	const begin = ` & until grep -q sleep /proc/$!/comm; do :; done; echo $!;`
	long := "sleep 1237 " + strings.Repeat("1 ", 200)
	for _, test := range []struct{ name, script, want string }{
		{"none", `sleep 0`, ""},
		{"a child", `sleep 1234` + begin, "sleep 1234"},
		{"a child of a child", `sh -c 'sleep 1235` + begin + ` exit 0'`, "sleep 1235"},
		{"of a killed one", `sleep 1236` + begin + `kill -9 $$`, "sleep 1236"},
		{"one that has exited", `sleep 0 & wait; echo $!`, ""},
		{"a long command", long + begin, long[:mostCommand] + "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lines := make(chan string, 1)
			p := startScript(t, test.script, func(l string) { lines <- l })
			<-p.Done()
			got := p.Leftovers()
			if test.want == "" {
				if len(got) != 0 {
					t.Errorf("got %v, want none", got)
				}
				return
			}
			if len(got) != 1 || got[0].Command != test.want || fmt.Sprint(got[0].PID) != <-lines {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

// TestLeftovers_AreBounded: all are killed, but only some are listed.
func TestLeftovers_AreBounded(t *testing.T) {
	subreaper(t)
	t.Parallel()
	p := startScript(t, `for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1238 & done`, nil)
	select {
	case <-p.Done():
	case <-time.After(time.Minute):
		t.Fatal("it does not exit")
	}
	if got := len(p.Leftovers()); got != mostLeftovers {
		t.Errorf("%d are listed, want %d", got, mostLeftovers)
	}
}
