package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// mixProxy is the address of a trusted proxy.
const mixProxy = "127.0.0.9"

// mixed is a client. A plain one sends a simple request after the other, a slow one reads
// slowly and is interrupted.
type mixed struct {
	*mix
	plain, slow bool
	peer        string // its address
	conn        net.Conn
	in          *bufio.Reader
}

// exchange sends one request or several, and reads the answers.
func (c *mixed) exchange() {
	if c.conn == nil && !c.connect() {
		return
	}
	requests := []mixedRequest{c.request()}
	for !c.plain && rand.IntN(12) == 0 && len(requests) < 4 {
		requests = append(requests, c.request())
	}
	_ = c.conn.SetDeadline(time.Now().Add(20 * time.Second)) // of a TCP connection; only a hang takes so long
	var sending sync.WaitGroup
	conn := c.conn
	sending.Go(func() { c.send(conn, requests) }) // answers may have to be read before all is sent
	for _, q := range requests {
		if !c.answered(&q) {
			c.disconnect()
			break
		}
	}
	sending.Wait()
}

func (c *mixed) request() mixedRequest {
	c.mu.Lock()
	c.sent++
	n := c.sent
	c.mu.Unlock()
	return newMixed(n, c.plain, c.peer)
}

// connect connects from peer. The socket of a slow client takes little.
func (c *mixed) connect() bool {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.peer)}, Timeout: patience}
	if c.slow {
		d.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			control := raw.Control(func(fd uintptr) {
				err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8192)
			})
			return errors.Join(control, err)
		}
	}
	conn, err := d.Dial("tcp", c.addr)
	if err != nil {
		c.t.Error(err)
		return false
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	if c.slow {
		c.in = bufio.NewReader(&sluggish{from: conn})
	}
	return true
}

// sluggish reads with pauses.
type sluggish struct {
	from io.Reader
	n    int
}

func (s *sluggish) Read(p []byte) (int, error) {
	if s.n++; s.n%8 == 0 {
		<-time.After(time.Duration(rand.IntN(3)) * time.Millisecond) // a slow reader's pause
	}
	return s.from.Read(p)
}

// send sends the requests. One that is not plain may be sent in halves, and the client may
// disconnect before it gets the answer.
func (c *mixed) send(conn net.Conn, requests []mixedRequest) {
	var b bytes.Buffer
	for _, q := range requests {
		q.writeTo(&b)
	}
	if !c.plain && rand.IntN(20) == 0 { // a part of it comes later, or never
		_, _ = io.CopyN(conn, &b, int64(rand.IntN(b.Len())))                           // the answers show whether it arrived
		<-time.After(time.Duration(rand.IntN(10)*(1+rand.IntN(9))) * time.Millisecond) // the loop waits for 50 ms
		if rand.IntN(3) == 0 {
			conn.Close()
			return
		}
	}
	_, _ = b.WriteTo(conn)
	if !c.plain && rand.IntN(25) == 0 {
		_ = conn.(*net.TCPConn).SetLinger(rand.IntN(2) - 1) // with 0 it is reset
		conn.Close()
	}
}

func (c *mixed) disconnect() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// answered reads, checks and counts the answer to q. It returns false if the connection has
// ended.
func (c *mixed) answered(q *mixedRequest) bool {
	resp, err := http.ReadResponse(c.in, &http.Request{Method: q.method})
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
	}
	var slow net.Error
	switch {
	case errors.Is(err, net.ErrClosed): // by send
		return false
	case errors.As(err, &slow) && slow.Timeout():
		c.t.Errorf("%s: no answer", q)
		return false
	case err != nil && q.mustBeCut():
		return false
	case err != nil:
		c.count("cut")
		c.t.Logf("%s: %v", q, err)
		return false
	}
	c.count(fmt.Sprint(resp.StatusCode))
	if resp.StatusCode == http.StatusBadGateway && !q.isFile { // its worker was killed; want counts these
		if q.method != http.MethodPost {
			c.count("502 repeatable")
		}
		return !resp.Close
	}
	if how := q.differs(resp, body); how != "" || q.mustBeCut() {
		c.t.Errorf("%s: got %s (%v)", q, how, resp.Header)
	}
	return !resp.Close
}

func (q *mixedRequest) String() string {
	return fmt.Sprintf("%s %s%s %s.%d %s body %d", q.method, q.host, q.path, q.way, q.size, q.only, len(q.body))
}
