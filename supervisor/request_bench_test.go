package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/multisite/multisite/supervisor/config"
)

// BenchmarkRequest measures a request from a client's socket through the front
// door and a Python worker and back, on kept connections.
func BenchmarkRequest(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			addr := benchSupervisor(b, "wsgi = 'bare:application'\nprocesses = 2")
			b.ReportAllocs()
			b.SetParallelism(max(1, clients/runtime.GOMAXPROCS(0)))
			if clients == 1 {
				benchClient(b, addr, b.Loop)
				return
			}
			b.RunParallel(func(pb *testing.PB) { benchClient(b, addr, pb.Next) })
		})
	}
}

// benchClient sends requests on one connection while more says so.
func benchClient(b *testing.B, addr string, more func() bool) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	request := []byte("GET / HTTP/1.1\r\nHost: bench.localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	for more() {
		if _, err := conn.Write(request); err != nil {
			b.Error(err)
			return
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			b.Error(err)
			return
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
			b.Error(resp.Status, err)
			return
		}
	}
}

// benchSupervisor runs a supervisor with one site of one worker and returns its address.
func benchSupervisor(b *testing.B, site string) string {
	b.Helper()
	project, err := filepath.Abs("../testdata/django")
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "sites.toml")
	text := fmt.Sprintf("listen = '127.0.0.1:0'\n[site.bench]\nserver_name = 'bench.localhost'\npreload = false\n"+
		"python_path = [%q]\npython_home = %q\n%s\n", project, filepath.Join(project, ".venv"), site)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	s, err := New(Options{Load: func() (*config.Config, error) { return config.Load(file) }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, context.Background()) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	if err := s.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	return s.Addrs()[0]
}
