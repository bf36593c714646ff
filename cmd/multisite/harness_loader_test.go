package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is a load generator in a second process.
type load struct {
	t      testing.TB
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout bytes.Buffer
}

// loaded is the report of the load generator.
type loaded struct {
	Good  int           // answers with status 200 and the right body
	Bad   []string      // the others
	Dials int           // connections that were opened
	Took  []int         // microseconds of each good answer
	Ends  []int         // milliseconds from the start to the end of each good answer
	Wall  time.Duration // from the first request to the last answer
}

// startLoad starts requests to a site over keep-alive connections, each of which repeats
// paths in turn. Every body must contain want.
func (r *running) startLoad(host string, connections int, want string, paths ...string) *load {
	r.t.Helper()
	args := append([]string{r.addr, host, fmt.Sprint(connections), want}, paths...)
	l := &load{t: r.t, cmd: command(r.t, r.dir, "loader", args...)}
	l.cmd.Stdout, l.cmd.Stderr = &l.stdout, os.Stderr
	stdin, err := l.cmd.StdinPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	l.stdin = stdin
	if err := l.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	return l
}

// stop ends the load and fails the test if any answer was bad.
func (l *load) stop() loaded {
	l.t.Helper()
	l.stdin.Close()
	if err := l.cmd.Wait(); err != nil {
		l.t.Fatal(err)
	}
	var got loaded
	if err := json.Unmarshal(l.stdout.Bytes(), &got); err != nil {
		l.t.Fatalf("loader: %v: %q", err, l.stdout.String())
	}
	l.t.Logf("%d requests answered, the slowest in %v", got.Good, got.percentile(100))
	if got.Good == 0 || len(got.Bad) > 0 {
		l.t.Errorf("%d good answers, and %d bad:\n%s", got.Good, len(got.Bad), strings.Join(got.Bad[:min(10, len(got.Bad))], "\n"))
	}
	return got
}

// percentile returns the time within which p percent of the answers came.
func (l loaded) percentile(p int) time.Duration {
	if len(l.Took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.Took))
	return time.Duration(sorted[min(len(sorted)-1, len(sorted)*p/100)]) * time.Microsecond
}

// perSecond returns the number of answers in each whole second.
func (l loaded) perSecond() []int {
	counts := make([]int, int(l.Wall/time.Second))
	for _, ms := range l.Ends {
		if second := ms / 1000; second < len(counts) {
			counts[second]++
		}
	}
	return counts
}

// loader is the load generator: it sends requests until its standard input is closed.
//
//	loader ADDR HOST CONNECTIONS WANT PATH...
func loader() {
	addr, host, want, paths := os.Args[1], os.Args[2], os.Args[4], os.Args[5:]
	var connections int
	if _, err := fmt.Sscan(os.Args[3], &connections); err != nil {
		panic(err)
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // only its end matters
		close(stop)
	}()
	var (
		all sync.Mutex
		sum loaded
		wg  sync.WaitGroup
	)
	begin := time.Now()
	for range connections {
		wg.Go(func() {
			got := ask(addr, host, want, paths, begin, stop)
			all.Lock()
			defer all.Unlock()
			sum.Good += got.Good
			sum.Dials += got.Dials
			sum.Bad = append(sum.Bad, got.Bad...)
			sum.Took = append(sum.Took, got.Took...)
			sum.Ends = append(sum.Ends, got.Ends...)
		})
	}
	wg.Wait()
	sum.Wall = time.Since(begin)
	if err := json.NewEncoder(os.Stdout).Encode(sum); err != nil {
		panic(err)
	}
}

// ask sends requests one after the other over one connection.
func ask(addr, host, want string, paths []string, begin time.Time, stop <-chan struct{}) (sum loaded) {
	k := &keeper{addr: addr}
	defer func() { sum.Dials = k.dials; k.close() }()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return sum
		default:
		}
		path := paths[i%len(paths)]
		start := time.Now()
		status, body, err := k.fetch("http://" + host + path)
		if err != nil || status != http.StatusOK || !strings.Contains(body, want) {
			sum.Bad = append(sum.Bad, fmt.Sprintf("%s after %v: status %d, error %v, body %.200q", path, time.Since(start), status, err, body))
			continue
		}
		sum.Good++
		sum.Took = append(sum.Took, int(time.Since(start).Microseconds()))
		sum.Ends = append(sum.Ends, int(time.Since(begin).Milliseconds()))
	}
}

// keeper is a client that makes a new connection only when the server has closed the last
// one. http.Transport also makes one when its writing goroutine has not run for 50 ms while
// the answer came (maxWriteWaitBeforeConnReuse), as on a busy machine.
type keeper struct {
	addr  string
	conn  net.Conn // nil: none
	in    *bufio.Reader
	dials int
}

// fetch requests a URL. Like http.Transport, it requests once more if a connection that was
// used before has ended before the answer.
func (k *keeper) fetch(url string) (status int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	used := k.conn != nil
	resp, err := k.exchange(r)
	if err != nil && used && !isTimeout(err) {
		resp, err = k.exchange(r)
	}
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.Close {
		k.close()
	}
	return resp.StatusCode, string(b), err
}

// exchange sends a request and returns the answer once its head is here.
func (k *keeper) exchange(r *http.Request) (*http.Response, error) {
	if k.conn == nil {
		conn, err := net.DialTimeout("tcp", k.addr, patience)
		if err != nil {
			return nil, err
		}
		k.conn, k.in = conn, bufio.NewReader(conn)
		k.dials++
	}
	_ = k.conn.SetDeadline(time.Now().Add(patience)) // cannot fail for a socket
	err := r.Write(k.conn)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(k.in, r)
	}
	if err != nil {
		k.close()
	}
	return resp, err
}

func (k *keeper) close() {
	if k.conn != nil {
		k.conn.Close()
		k.conn = nil
	}
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
