package logs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRefusals_Flood: no caller waits for a stuck disk, all requests are counted, and
// the files stay below the size at which they are rotated.
func TestRefusals_Flood(t *testing.T) {
	t.Parallel()
	l := newLogs(t, nil)
	const most, keep = 2 * accessBlock, 2
	l.SetRotation(most, keep)
	r := l.Refusals()
	r.Restore(map[int]int64{421: 5, 400: 1})
	const flood = 50_000
	r.writing.Lock() // the disk
	for n := range flood {
		r.Count(421, numbered(n))
	}
	r.writing.Unlock()
	r.Flush()
	if got, want := r.Counts(), (map[int]int64{421: 5 + flood, 400: 1}); !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	for n := range 3 * most / 100 { // and now the disk keeps up
		r.Count(421, numbered(n))
		if n%100 == 0 {
			r.Flush()
		}
	}
	r.Close()
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
		if len(b) > accessMax+most {
			t.Errorf("%s has %d bytes", name, len(b))
		}
	}
	if want := fmt.Sprintf(` 200 %d "-" "-" `, 3*most/100-1); !strings.Contains(all.String(), want) {
		t.Errorf("the last line is not there: %s", want)
	}
}
