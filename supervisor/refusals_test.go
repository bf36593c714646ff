package supervisor

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/proxy"
)

func aRefusal(n int) proxy.Refusal {
	return proxy.Refusal{Entry: proxy.Entry{Client: "192.0.2.1", Line: "GET / HTTP/1.1", Status: 421, Bytes: int64(n)}, Host: "other.example", Why: "no site has this name"}
}

// TestRefusals_Flood: nobody waits for a disk that stands still, all are counted, and
// the files stay as small as sites.toml says.
func TestRefusals_Flood(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	const most, keep = 2 * accessBlock, 2
	l.setRules(most, keep)
	r := newRefusals(l)
	r.restore(map[int]int64{421: 5, 400: 1})
	const flood = 50_000
	r.access.writing.Lock() // the disk
	for n := range flood {
		r.add(aRefusal(n))
	}
	r.access.writing.Unlock()
	r.access.flushNow()
	if got, want := r.all(), (map[int]int64{421: 5 + flood, 400: 1}); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	for n := range 3 * most / 100 { // and now the disk keeps up
		r.add(aRefusal(n))
		if n%100 == 0 {
			r.access.flushNow()
		}
	}
	r.access.close()
	files, err := filepath.Glob(filepath.Join(l.dir, "multisite.access.log*"))
	if err != nil || len(files) != keep+1 {
		t.Fatalf("got the files %q, %v", files, err)
	}
	var all strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
		if len(b) > accessMost+most {
			t.Errorf("%s has %d bytes", name, len(b))
		}
	}
	if want := fmt.Sprintf(` 421 %d "-" "-" 0.0000 - site=- host="other.example" why="no site has this name"`, 3*most/100-1); !strings.Contains(all.String(), want) {
		t.Errorf("the last line is not there: %s", want)
	}
}
