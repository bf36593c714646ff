package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load sends requests over keep-alive connections, each when the previous one has been
// answered, and checks every answer.
type load struct {
	addr        string // "127.0.0.1:80", or the path of a unix socket
	host        string
	pages       []page // requested in turn; each connection begins with another one
	connections int
	requests    int // in all; 0 means until ctx is done
	// observe is called after each answer, concurrently for all connections. It may be nil.
	observe func(start time.Time, good bool)
}

// loaded is the result of a load.
type loaded struct {
	good, bad int
	why       string // what was wrong with the first bad answer
	times     []time.Duration
}

func (l *loaded) add(o loaded) {
	l.good += o.good
	l.bad += o.bad
	if l.why == "" {
		l.why = o.why
	}
	l.times = append(l.times, o.times...)
}

// run returns when all requests are answered, or ctx is done.
func (l load) run(ctx context.Context) loaded {
	var (
		left atomic.Int64
		mu   sync.Mutex
		sum  loaded
		wg   sync.WaitGroup
	)
	left.Store(int64(l.requests))
	for i := range l.connections {
		wg.Go(func() {
			c := &client{load: l, next: i * 3}
			for ctx.Err() == nil && (l.requests == 0 || left.Add(-1) >= 0) {
				c.ask(ctx)
			}
			c.close()
			mu.Lock()
			defer mu.Unlock()
			sum.add(c.got)
		})
	}
	wg.Wait()
	return sum
}

// client is one connection.
type client struct {
	load load
	next int // index of the next page
	conn net.Conn
	in   *bufio.Reader
	body bytes.Buffer
	got  loaded
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// ask sends one request and checks the answer. A request that ctx interrupted does not
// count.
func (c *client) ask(ctx context.Context) {
	p := c.load.pages[c.next%len(c.load.pages)]
	c.next++
	start := time.Now()
	err := c.exchange(ctx, p)
	took := time.Since(start)
	if err != nil {
		c.close()
		if ctx.Err() != nil {
			return
		}
		c.got.bad++
		if c.got.why == "" {
			c.got.why = fmt.Sprintf("%s%s: %v", c.load.host, p.path, err)
		}
	} else {
		c.got.good++
		c.got.times = append(c.got.times, took)
	}
	if c.load.observe != nil {
		c.load.observe(start, err == nil)
	}
}

func (c *client) exchange(ctx context.Context, p page) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	_ = c.conn.SetDeadline(time.Now().Add(patience)) // cannot fail on a socket
	if _, err := io.WriteString(c.conn, "GET "+p.path+" HTTP/1.1\r\nHost: "+c.load.host+"\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	c.body.Reset()
	if _, err := c.body.ReadFrom(resp.Body); err != nil {
		return err
	}
	if resp.Close {
		c.close()
	}
	if resp.StatusCode != http.StatusOK || !bytes.Contains(c.body.Bytes(), []byte(p.want)) {
		return fmt.Errorf("%s: %.300q", resp.Status, c.body.String())
	}
	return nil
}

func (c *client) connect(ctx context.Context) error {
	if c.conn != nil {
		return nil
	}
	network := "tcp"
	if c.load.addr[0] == '/' {
		network = "unix"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, c.load.addr)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return nil
}
