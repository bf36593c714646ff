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

// stall sends requests and reads no answer, for some seconds, and looks at the memory again
// when the clients have left.
func (b *bench) stall(ctx context.Context, n *runner, x row, host string) error {
	hold := 5 * time.Second
	if b.quick {
		hold = time.Second
	}
	front, apps, err := n.split()
	if err != nil {
		return err
	}
	warm, err := drive(ctx, n.addr, host, x.request, busyConnections, hold/5) // workers make the body once
	if err != nil {
		return err
	}
	n.count(warm)
	before := holds(front, apps)
	peak := n.watchMemory()
	defer peak.stop()
	leave, err := connectStalled(n.addr, x.request.text(host), x.connections)
	defer leave()
	if err != nil {
		return err
	}
	held := time.After(hold)
	limited, cancel := context.WithTimeout(ctx, hold)
	defer cancel()
	one := load{addr: n.addr, host: host, pages: []page{{"/get/10", ""}}, connections: 1, requests: 1}.run(limited)
	for _, took := range milliseconds(one.times) {
		n.Other.add(took)
	}
	select {
	case <-held:
	case <-ctx.Done():
		return ctx.Err()
	}
	peak.stop()
	leave()
	select {
	case <-time.After(hold):
	case <-ctx.Done():
		return ctx.Err()
	}
	after := holds(front, apps)
	n.FrontMemory.addBytes(peak.front)
	n.AppsMemory.addBytes(peak.apps)
	n.KernelMemory.addBytes(peak.kernel)
	n.After.addBytes(after.front + after.apps - before.front - before.apps)
	return n.check()
}

// connectStalled opens connections with small buffers, and sends a request on each.
func connectStalled(addr string, text []byte, connections int) (leave func(), err error) {
	var fds []int
	leave = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
		fds = nil
	}
	for range connections {
		fd, err := dial(addr, 4096)
		if err != nil {
			return leave, err
		}
		fds = append(fds, fd)
		if n, err := unix.Write(fd, text); n < len(text) {
			return leave, errors.Join(fmt.Errorf("sent %d bytes of %d", n, len(text)), err)
		}
	}
	return leave, nil
}
