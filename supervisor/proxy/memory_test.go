package proxy

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// heap is what is in use of it.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestProxy_SlowClientsCostLittle measures what each of many clients costs, that takes
// nothing of a large answer, or sends a part of a large body: a block of memory each, as
// long as there are any, and next to nothing beyond. All of it is given back. It runs
// alone, as others would be measured too.
func TestProxy_SlowClientsCostLittle(t *testing.T) {
	const clients, size = 40, 2 << 20
	for _, most := range []int64{spool.MaxMemory, 4 * spool.AnswerMemory} {
		for name, test := range map[string]struct{ request, rest string }{
			"reader":       {"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n", ""},
			"sender":       {fmt.Sprintf("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n", size) + strings.Repeat("x", size-1), "x"},
			"small sender": {fmt.Sprintf("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n", spool.BodyMemory) + strings.Repeat("x", spool.BodyMemory-1), "x"},
		} {
			synctest.Test(t, func(t *testing.T) {
				var answers []answer
				for range clients {
					answers = append(answers, streams(200, random(size)))
				}
				b := newBackend(t, answers...)
				dial, s := pipeSite(t, &site.Site{Backend: b})
				s.proxy.store.SetMax(most)
				var all []*pipePeer
				before := heap()
				for range clients {
					p := dial()
					p.send(test.request)
					all = append(all, p)
				}
				synctest.Wait()
				want := min(most, clients*spool.AnswerMemory)
				if got := s.proxy.store.InMemory(); got > want {
					t.Errorf("%s: %d clients have %d bytes of memory, want %d at most", name, clients, got, want)
				}
				// beside memory: two goroutines, buffers of net/http and of the pipe
				if cost := heap() - before; cost > want+clients*(4<<10+40<<10) {
					t.Errorf("%s: %d clients cost %d kB each of the heap, where %d kB are for all", name, clients, cost>>10/clients, most>>10)
				}
				for _, p := range all {
					p.send(test.rest)
					resp, err := http.ReadResponse(p.br, nil)
					if err != nil {
						t.Fatal(err)
					}
					if got, want := sum(t, resp.Body), sum(t, random(size)); got != want {
						t.Errorf("%s: got another answer", name)
					}
				}
				synctest.Wait()
				if n := s.proxy.store.InMemory(); n != 0 {
					t.Errorf("%s: %d bytes were not given back", name, n)
				}
				if n := len(slices.DeleteFunc(b.ends(), func(end string) bool { return end == "release" })); n > 0 {
					t.Errorf("%s: %d workers were not let go", name, n)
				}
			})
		}
	}
}
