package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/worker/process"
)

// held is the memory that the parts of a server have, in bytes.
type held struct{ front, apps, kernel int64 }

// holds returns the PSS of these processes, without those that have exited, and the buffers
// of all TCP sockets of the machine.
func holds(front, apps []proc) held {
	h := held{kernel: socketMemory()}
	for sum, procs := range map[*int64][]proc{&h.front: front, &h.apps: apps} {
		for _, p := range procs {
			if m, err := process.ReadMemory(p.pid); err == nil {
				*sum += m.PSS
			}
		}
	}
	return h
}

func socketMemory() int64 {
	b, _ := os.ReadFile("/proc/net/sockstat") // without it the figure is 0
	return parseSockstat(b) * int64(os.Getpagesize())
}

// parseSockstat returns the pages that TCP holds.
func parseSockstat(b []byte) int64 {
	for line := range bytes.Lines(b) {
		f := bytes.Fields(line)
		if len(f) < 2 || string(f[0]) != "TCP:" || string(f[len(f)-2]) != "mem" {
			continue
		}
		pages, _ := strconv.ParseInt(string(f[len(f)-1]), 10, 64) // 0 if it is no number
		return pages
	}
	return 0
}

// memoryPeak samples until it is stopped how much more memory a server has than at first.
type memoryPeak struct {
	held
	quit chan struct{}
	done chan struct{}
}

func (s *server) watchMemory() *memoryPeak {
	m := &memoryPeak{quit: make(chan struct{}), done: make(chan struct{})}
	front, apps, _ := s.split() // without processes the figures are 0
	first := holds(front, apps)
	go func() {
		defer close(m.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-m.quit:
				return
			case <-tick.C:
				now := holds(front, apps)
				m.front = max(m.front, now.front-first.front)
				m.apps = max(m.apps, now.apps-first.apps)
				m.kernel = max(m.kernel, now.kernel-first.kernel)
			}
		}
	}()
	return m
}

// stop ends the sampling; then the fields are the peaks. It may be called twice.
func (m *memoryPeak) stop() {
	select {
	case <-m.quit:
	default:
		close(m.quit)
	}
	<-m.done
}

// waits are how long stall waits for the beginning of all answers, then for what they still
// need, and after the clients have left.
type waits struct{ begin, settle, left time.Duration }

func (b *bench) waits() waits {
	if b.quick {
		return waits{5 * time.Second, time.Second / 2, time.Second}
	}
	return waits{30 * time.Second, 2 * time.Second, 5 * time.Second}
}

// stall sends requests and reads no answer, and looks at the memory again when the clients
// have left.
func (b *bench) stall(ctx context.Context, n *runner, x row, host string) error {
	warm, err := drive(ctx, n.addr, host, x.request, busyConnections, time.Second) // workers make the body once
	if err != nil {
		return err
	}
	n.count(warm)
	front, apps, err := n.split()
	if err != nil {
		return err
	}
	before := holds(front, apps)
	peak := n.watchMemory()
	defer peak.stop()
	w, start := b.waits(), time.Now()
	clients, err := connectStalled(n.addr, x.request.text(host), x.connections)
	defer clients.leave()
	if err != nil {
		return err
	}
	if begun, err := clients.awaitBegin(ctx, start.Add(w.begin)); err != nil {
		return err
	} else if begun {
		n.Begun.add(time.Since(start).Seconds())
	}
	if err := pause(ctx, w.settle); err != nil {
		return err
	}
	peak.stop()
	clients.leave()
	if err := pause(ctx, w.left); err != nil {
		return err
	}
	after := holds(front, apps)
	n.FrontMemory.addBytes(peak.front)
	n.AppsMemory.addBytes(peak.apps)
	n.KernelMemory.addBytes(peak.kernel)
	n.After.addBytes(after.front + after.apps - before.front - before.apps)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stalled are the descriptors of clients that do not read.
type stalled struct{ fds []unix.PollFd }

// connectStalled opens connections with small buffers, and sends a request on each.
func connectStalled(addr string, text []byte, connections int) (*stalled, error) {
	s := &stalled{}
	for range connections {
		fd, err := dial(addr, 4096)
		if err != nil {
			return s, err
		}
		s.fds = append(s.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		if n, err := unix.Write(fd, text); n < len(text) {
			return s, errors.Join(fmt.Errorf("sent %d bytes of %d", n, len(text)), err)
		}
	}
	return s, nil
}

// awaitBegin reports whether every client has got the beginning of its answer in time.
func (s *stalled) awaitBegin(ctx context.Context, limit time.Time) (bool, error) {
	for time.Now().Before(limit) {
		n, err := unix.Poll(s.fds, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, err
		}
		if n == len(s.fds) {
			return true, nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return false, err
		}
	}
	return false, nil
}

// leave closes the connections. It may be called twice.
func (s *stalled) leave() {
	for _, c := range s.fds {
		unix.Close(int(c.Fd))
	}
	s.fds = nil
}
