package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// request is what the clients of a row send, again and again.
type request struct {
	path          string
	lines         []string // more lines of the head
	body          []byte   // with one it is a POST
	want          []byte   // the whole body of the right answer
	perConnection bool     // each on a connection of its own
	over          protocol
}

// text returns the bytes to send.
func (r request) text(host string) []byte {
	method, lines := "GET", append([]string{"Host: " + host}, r.lines...)
	if r.body != nil {
		method, lines = "POST", append(lines, "Content-Type: application/octet-stream", fmt.Sprintf("Content-Length: %d", len(r.body)))
	}
	if r.perConnection {
		lines = append(lines, "Connection: close")
	}
	return append([]byte(method+" "+r.path+" HTTP/1.1\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n"), r.body...)
}

// speed is what driven clients measured.
type speed struct {
	perSecond float64
	p50, p99  float64 // ms
	requests  int
	bad       int
	why       string // what was wrong with the first bad answer
}

const (
	maxBad     = 100              // with so many wrong answers a server is given up
	stallLimit = 10 * time.Second // for an answer of which nothing comes
)

// driver sends one request over many connections, each when the answer before is there, and
// compares every answer. It is one thread with epoll, so that it takes little of the
// machine that the servers need.
type driver struct {
	addr    string
	text    []byte
	request request
	epoll   int
	clients map[int]*driven // by descriptor
	buffer  []byte
	times   []time.Duration
	last    time.Time // of the last answer
	bad     int
	why     string
}

// driven is one connection.
type driven struct {
	fd      int
	sent    int
	waits   bool // for room to send
	answer  answer
	started time.Time
	heard   time.Time // when something came last
}

// drive requests for a time.
func drive(ctx context.Context, addr, host string, r request, connections int, d time.Duration) (speed, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return speed{}, err
	}
	defer unix.Close(epoll)
	v := &driver{addr: addr, text: r.text(host), request: r, epoll: epoll, clients: map[int]*driven{}, buffer: make([]byte, 256<<10)}
	defer v.closeAll()
	start := time.Now()
	for range connections {
		if err := v.open(start); err != nil {
			return speed{}, err
		}
	}
	if err := v.run(ctx, start.Add(d)); err != nil {
		return speed{}, err
	}
	ms := milliseconds(v.times)
	return speed{
		perSecond: float64(len(ms)) / v.last.Sub(start).Seconds(), requests: len(ms) + v.bad, bad: v.bad, why: v.why,
		p50: quantile(ms, 0.5), p99: quantile(ms, 0.99),
	}, nil
}

// run handles events until the time is over, and at least until the first answer. What is
// under way then does not count.
func (v *driver) run(ctx context.Context, end time.Time) error {
	events := make([]unix.EpollEvent, 64)
	for {
		n, err := unix.EpollWait(v.epoll, events, 100)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		now := time.Now()
		if now.After(end) && len(v.times) > 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range events[:max(n, 0)] {
			if c := v.clients[int(e.Fd)]; c != nil {
				if err := v.handle(c, now); err != nil {
					return err
				}
			}
		}
		if n == 0 {
			if err := v.lookForStalled(now); err != nil {
				return err
			}
		}
		if v.bad > maxBad {
			return fmt.Errorf("%d wrong answers, the first: %s", v.bad, v.why)
		}
	}
}

// handle sends and reads what it can, and begins the next request after an answer.
func (v *driver) handle(c *driven, now time.Time) error {
	if err := v.send(c); err != nil {
		return v.fail(c, now, err)
	}
	n, err := unix.Read(c.fd, v.buffer)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if n == 0 && err == nil {
		err = io.ErrUnexpectedEOF
	}
	c.heard = now
	done := false
	if err == nil {
		done, err = c.answer.feed(v.buffer[:n])
	}
	if err != nil {
		return v.fail(c, now, err)
	}
	if !done {
		return nil
	}
	now = time.Now()
	v.last, v.times = now, append(v.times, now.Sub(c.started))
	if v.request.perConnection || c.answer.closes {
		v.close(c)
		return v.open(now)
	}
	c.answer.reset()
	c.sent, c.started = 0, now
	if err := v.send(c); err != nil {
		return v.fail(c, now, err)
	}
	return nil
}

// send sends what the socket takes, and waits for room for the rest.
func (v *driver) send(c *driven) error {
	for c.sent < len(v.text) {
		n, err := unix.Write(c.fd, v.text[c.sent:])
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			return err
		}
		c.sent += n
	}
	if waits := c.sent < len(v.text); waits != c.waits {
		c.waits = waits
		return v.control(unix.EPOLL_CTL_MOD, c)
	}
	return nil
}

func (v *driver) control(op int, c *driven) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
	if c.waits {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(v.epoll, op, c.fd, &e)
}

// open connects and sends the first request.
func (v *driver) open(now time.Time) error {
	fd, err := dial(v.addr, 0)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", v.addr, err)
	}
	c := &driven{fd: fd, answer: answer{want: v.request.want}, started: now, heard: now}
	v.clients[fd] = c
	if err := v.control(unix.EPOLL_CTL_ADD, c); err != nil {
		return err
	}
	if err := v.send(c); err != nil {
		return v.fail(c, now, err)
	}
	return nil
}

// fail counts a wrong answer and goes on with a new connection.
func (v *driver) fail(c *driven, now time.Time, err error) error {
	v.bad++
	if v.why == "" {
		v.why = v.request.path + ": " + err.Error()
	}
	v.close(c)
	if v.bad > maxBad {
		return nil // the caller gives up
	}
	return v.open(now)
}

func (v *driver) lookForStalled(now time.Time) error {
	for _, c := range v.clients {
		if now.Sub(c.heard) > stallLimit {
			return v.fail(c, now, errors.New("no answer"))
		}
	}
	return nil
}

func (v *driver) close(c *driven) {
	delete(v.clients, c.fd)
	unix.Close(c.fd)
}

func (v *driver) closeAll() {
	for _, c := range v.clients {
		v.close(c)
	}
}

// dial connects to "127.0.0.1:80" or to the path of a unix socket. The buffer for what comes
// has this size, or the usual one for 0.
func dial(addr string, receive int) (int, error) {
	family, peer := unix.AF_UNIX, unix.Sockaddr(&unix.SockaddrUnix{Name: addr})
	if addr[0] != '/' {
		tcp, err := net.ResolveTCPAddr("tcp4", addr)
		if err != nil {
			return -1, err
		}
		family, peer = unix.AF_INET, &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(tcp.IP.To4())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if receive > 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receive)
	}
	if err == nil {
		err = unix.Connect(fd, peer)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil && family == unix.AF_INET {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// pattern returns n bytes as rows.py has them.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}
