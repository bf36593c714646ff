package process

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestAsk: Ask returns when the last line of the answer was read, or after its limit. A
// process that does not handle the signal lives on.
func TestAsk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, script, want string
		limit              time.Duration
	}{
		{"answers", "trap 'echo one; echo two; echo end' USR1; echo ready; while :; do sleep 0.01; done", "ready one two end", time.Minute},
		{"does not handle it", "echo ready; exec sleep 1000", "ready", time.Minute},
		{"says something else", "trap 'echo what' USR1; echo ready; while :; do sleep 0.01; done", "ready", time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ready := make(chan struct{})
			var once sync.Once
			output, err := NewOutput(nil, func(string) { once.Do(func() { close(ready) }) })
			if err != nil {
				t.Fatal(err)
			}
			p, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", test.script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/", Output: output})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				p.Kill()
				<-p.Done()
			}()
			<-ready
			p.Ask(syscall.SIGUSR1, func(line string) bool { return line == "end" }, test.limit)
			if got := strings.Join(p.Tail(), " "); !strings.HasPrefix(got, test.want) {
				t.Errorf("got the output %q, want %q", got, test.want)
			}
			select {
			case <-p.Done():
				t.Errorf("it has exited: %v", p.Exit())
			default:
			}
		})
	}
}
