package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const (
	onceHost   = "Host: once.example.com\r\n\r\n"
	onceGet    = "GET /fast/PATH HTTP/1.1\r\n" + onceHost
	oncePost   = "POST /fast/PATH HTTP/1.1\r\nContent-Length: 1\r\n" + onceHost + "x"
	onceChunks = "POST /fast/PATH HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + onceHost + "1;a\r\nx\r\n0\r\nX-A: b\r\n\r\n"
)

// onceTexts are what clients send. The upgrade happens at the bar, when so many requests are
// answered.
var onceTexts = []struct {
	before int
	text   string
}{
	{2, "OPTIONS * HTTP/1.1\r\n" + onceHost + onceGet + "|" + onceGet},
	{2, "OPTIONS * HTTP/1.1\r\n" + onceHost + oncePost + "|" + oncePost},
	{1, oncePost + "\r\n|" + oncePost},
	{1, oncePost + "|\r\n" + oncePost},
	{2, oncePost + "\r\n\r\n" + oncePost + "|\r\n\r\n" + oncePost},
	{2, oncePost + oncePost + "\r|\n" + oncePost},
	{2, "HEAD /fast/PATH HTTP/1.1\r\n" + onceHost + oncePost + "G|" + onceGet[1:] + onceGet},
	{1, onceChunks + "GET /fast|" + onceGet[9:] + onceChunks},
	{2, onceGet + onceChunks + "P|" + oncePost[1:]},
	{1, "POST /fast/PATH HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" + onceHost + "x" + oncePost[:30] + "|" + oncePost[30:]},
	{3, "PUT /fast/PATH HTTP/1.1\r\nContent-Length: 4\r\n" + onceHost + "\r\n\r\n" + oncePost + onceGet + "|" + oncePost},
}

// TestUpgrade_RequestsOnce: requests sent before, across and during an upgrade are done
// exactly once, also POSTs.
func TestUpgrade_RequestsOnce(t *testing.T) {
	t.Parallel()
	r := newRunning(t, newDir(t, onceSites))
	writeFile(t, filepath.Join(r.dir, "once.wsgi"), onceScript)
	r.start()
	t.Cleanup(r.finish)
	upgrades := 2
	if longForm() {
		upgrades = 20
	}
	sent := 0
	for n := range upgrades {
		var talks []*onceTalk
		for i, o := range onceTexts {
			talk := newTalk(r, r.raw(), fmt.Sprintf("across-%d-%d", n, i), o.text)
			talk.send()
			talk.read(o.before)
			talks = append(talks, talk)
		}
		stop := r.talkAlways(fmt.Sprintf("during-%d", n))
		r.upgrade()
		sent += stop()
		for _, talk := range talks {
			talk.send()
			talk.read(len(talk.methods))
			sent += talk.paths
		}
	}
	times := map[string]int{}
	for _, path := range strings.Fields(readFile(t, filepath.Join(r.dir, "begun"))) {
		if times[path]++; times[path] > 1 {
			t.Errorf("%s was begun %d times", path, times[path])
		}
	}
	if len(times) != sent {
		t.Errorf("%d requests were begun, want %d", len(times), sent)
	}
}

// onceTalk is a client that sends a text in two parts, up to the bar and after it.
type onceTalk struct {
	r       *running
	conn    net.Conn
	in      *bufio.Reader
	text    string
	methods []string // of the requests that are not answered yet
	paths   int      // how many were given out so far
}

var requestLine = regexp.MustCompile(`(GET|HEAD|POST|PUT|OPTIONS) \S+ HTTP`)

// newTalk returns a client for a text, with a path of its own for each request.
func newTalk(r *running, conn net.Conn, name, text string) *onceTalk {
	c := &onceTalk{r: r, conn: conn, in: bufio.NewReader(conn), text: text}
	for _, m := range requestLine.FindAllStringSubmatch(strings.ReplaceAll(text, "|", ""), -1) {
		c.methods = append(c.methods, m[1])
	}
	for ; strings.Contains(c.text, "PATH"); c.paths++ {
		c.text = strings.Replace(c.text, "PATH", fmt.Sprintf("%s-%d", name, c.paths), 1)
	}
	return c
}

func (c *onceTalk) send() {
	now, later, _ := strings.Cut(c.text, "|")
	c.text = later
	if _, err := io.WriteString(c.conn, now); err != nil {
		c.r.t.Error(err)
	}
}

// read reads the next answers.
func (c *onceTalk) read(n int) {
	for _, method := range c.methods[:n] {
		for status := http.StatusContinue; status == http.StatusContinue; {
			resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
			if err != nil {
				c.r.t.Errorf("%s: %v", method, err)
				return
			}
			_, err = io.Copy(io.Discard, resp.Body)
			if status = resp.StatusCode; err != nil || status != 200 && status != 100 || resp.Close {
				c.r.t.Errorf("%s: status %d, close %v (%v)", method, status, resp.Close, err)
			}
		}
	}
	c.methods = c.methods[n:]
}

// talkAlways lets clients send several requests at once, over and over. stop returns how
// many were answered.
func (r *running) talkAlways(name string) (stop func() int) {
	var all sync.WaitGroup
	done, counts := make(chan struct{}), make(chan int, 4)
	for i := range cap(counts) {
		conn, n := r.raw(), 0
		all.Go(func() {
			for {
				talk := newTalk(r, conn, fmt.Sprintf("%s-%d-%d", name, i, n), oncePost+onceGet+"\r\n"+onceChunks+"\r\n"+oncePost)
				talk.send()
				talk.read(len(talk.methods))
				n += talk.paths
				select {
				case <-done:
				default:
					if !r.t.Failed() {
						continue
					}
				}
				counts <- n
				return
			}
		})
	}
	return func() (sum int) {
		close(done)
		all.Wait()
		for range cap(counts) {
			sum += <-counts
		}
		return sum
	}
}
