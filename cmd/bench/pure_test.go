package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " 1 2 2 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 100 1000 100"
	for _, c := range []struct {
		name, line string
		want       proc
		ok         bool
	}{
		{"plain", "7 (python3) S" + rest, proc{pid: 7, parent: 1}, true},
		{"a name with a bracket", "8 (a) b) R" + rest, proc{pid: 8, parent: 1}, true},
		{"a zombie", "9 (x) Z" + rest, proc{}, false},
		{"cut", "9 (x) S 1 2", proc{}, false},
		{"empty", "", proc{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := parseStat(c.line); got != c.want || ok != c.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}

func TestTree_HoldsThisProcess(t *testing.T) {
	t.Parallel()
	procs, err := tree(os.Getppid())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range procs {
		found = found || p.pid == os.Getpid()
	}
	if !found {
		t.Errorf("the tree of %d has no %d: %v", os.Getppid(), os.Getpid(), procs)
	}
}

// TestCPUOf: the clock of another process is the one that its /proc/PID/stat rounds.
func TestCPUOf(t *testing.T) {
	t.Parallel()
	self, parent := []proc{{pid: os.Getpid()}}, []proc{{pid: os.Getppid()}}
	before := cpuOf(self)
	for start := time.Now(); cpuOf(self) == before && time.Since(start) < time.Minute; {
	}
	if now := cpuOf(self); now <= before || before <= 0 || now > time.Hour || cpuOf(parent) <= 0 {
		t.Errorf("got %v, then %v, and %v of the parent", before, now, cpuOf(parent))
	}
	if got := cpuOf([]proc{{pid: 1 << 22}}); got != 0 {
		t.Errorf("of a process that is not there: got %v", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []float64{4, 1, 3, 2}
	for q, want := range map[float64]float64{0: 1, 0.5: 2.5, 1: 4} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: got %v", got)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	const plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	const chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, text, want string
		wrong            string // of the error
	}{
		{"a length", plain + "hello", "hello", ""},
		{"nothing", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", ""},
		{"chunks", chunked + "2\r\nhe\r\n03\r\nllo\r\n0\r\n\r\n", "hello", ""},
		{"another byte", plain + "hellp", "hello", "from byte"},
		{"another byte in chunks", chunked + "2\r\nhf\r\n3\r\nllo\r\n0\r\n\r\n", "hello", "from byte"},
		{"too long", plain + "hello!", "hello", "more bytes"},
		{"too short", plain + "hello", "hello!", "5 bytes of 6"},
		{"too few chunks", chunked + "2\r\nhe\r\n0\r\n\r\n", "hello", "2 bytes of 5"},
		{"too many chunks", chunked + "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello", "from byte"},
		{"a chunk longer than it said", chunked + "5\r\nhello!\r\n0\r\n\r\n", "hello", "after a chunk"},
		{"an error page", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\nhello", "hello", "502"},
		{"until the end", "HTTP/1.1 200 OK\r\n\r\nhello", "hello", "neither a length"},
	} {
		for _, size := range []int{1, 3, 1000} { // of the pieces
			a := answer{want: []byte(c.want)}
			done, err := feedAll(&a, c.text, size)
			if c.wrong == "" && (err != nil || !done) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("%s in pieces of %d: got %v, %v, want %q", c.name, size, done, err, c.wrong)
			}
			a.reset()
			if done, err := feedAll(&a, plain+"hello", size); c.want == "hello" && (!done || err != nil) {
				t.Errorf("after %s: got %v, %v", c.name, done, err)
			}
		}
	}
}

func feedAll(a *answer, text string, size int) (done bool, err error) {
	for piece := range slices.Chunk([]byte(text), size) {
		if done { // as the next read finds it
			return done, errMoreThanAnswer
		}
		if done, err = a.feed(piece); err != nil {
			return done, err
		}
	}
	return done, nil
}

func TestRequest_Text(t *testing.T) {
	t.Parallel()
	r := request{path: "/post/", lines: []string{"X-A: b"}, body: []byte("xyz"), perConnection: true}
	want := "POST /post/ HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Type: application/octet-stream\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz"
	if got := string(r.text("h")); got != want {
		t.Errorf("got %q", got)
	}
	if got := string(request{path: "/"}.text("h")); got != "GET / HTTP/1.1\r\nHost: h\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestChoose(t *testing.T) {
	t.Parallel()
	all := setups(16, "/files", "/program")
	if got, err := choose(all, nil); err != nil || len(got) != len(all) {
		t.Errorf("of no names: got %d of %d, %v", len(got), len(all), err)
	}
	got, err := choose(all, []string{"post", "static"})
	if err != nil || len(got) != 2 || len(got[0].rows) != 2 || got[0].rows[0].name != "post" || len(got[1].rows) != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := choose(all, []string{"pots"}); err == nil || !strings.Contains(err.Error(), `no row "pots"; there are django, bare, get,`) {
		t.Errorf("got %v", err)
	}
}

func TestShowRows(t *testing.T) {
	t.Parallel()
	r := newReport("test")
	of := func(name string, perSecond, ratio float64) *runner {
		n := newRunner(&server{name: name})
		n.PerSecond.add(perSecond)
		n.Ratio.add(ratio)
		n.P50.add(0.5)
		n.P99.add(2)
		n.FrontCPU.add(9)
		n.AppsCPU.add(1070.4)
		return n
	}
	r.Rows = []*result{
		{Table: "T", Row: "a", Runners: []*runner{of("multisite", 10796, 1), of("one", 5000, 2.159)}},
		{Table: "T", Row: "aa", Runners: []*runner{of("multisite", 5, 1), of("one", 10, 0.5)}},
		{Table: "T", Row: "b", Runners: []*runner{of("multisite", 7, 1), of("two", 7, 1)}},
		{Table: pythonTable, Row: "plain", Runners: []*runner{of("multisite", 9, 1), of("two", 10, 0.9)}},
		{Table: pythonTable, Row: "GET: 1 KB", Runners: []*runner{of("multisite", 8, 1), of("two", 10, 0.8)}},
		{Table: pythonTable, Row: "GET: 2 KB", Runners: []*runner{of("multisite", 7, 1), of("two", 10, 0.7)}},
		{Table: "T", Row: "up", kind: uploads, Runners: []*runner{of("multisite", 300, 1)}},
		{Table: "T", Row: "readers", kind: stalledReaders, Runners: []*runner{of("multisite", 0, 0)}},
	}
	r.showRows()
	text := r.markdown()
	for _, want := range []string{
		"### In short\n\n|  | beside | requests/s of multisite ÷ its |\n| --- | ---: | ---: |\n| T | one | a: 2.16, aa: 0.50 |\n| T | two | b: 1.00 |\n" +
			"| plain | two | 0.90 |\n| GET | two | 1 KB: 0.80, 2 KB: 0.70 |\n\n",
		"## T\n\n|  | requests/s | ÷ one | ÷ two | p50 / p99, ms | CPU, µs | p50 / p99 of one | its CPU, µs |\n",
		"| a | 10,796 | 2.16 | – | 0.50 / 2.00 | 9.0 + 1,070 | 0.50 / 2.00 | 9.0 + 1,070 |\n",
		"| b | 7.0 | – | 1.00 | 0.50 / 2.00 | 9.0 + 1,070 | – | – |\n",
		"## Uploads: up\n", "| multisite | 300 | 1.1 | – | – |\n",
		"## readers\n", "| multisite | – | – | – | – | not all |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestWriteDocs(t *testing.T) {
	t.Parallel()
	r := newReport("test")
	r.note("a note")
	r.table(shortTitle, "", "ratio").row("a", 2)
	r.table("Files", "", "ratio").row("b", 3)
	dir := t.TempDir()
	readme, page := filepath.Join(dir, "README.md"), filepath.Join(dir, "docs", "performance.md")
	if err := os.Mkdir(filepath.Dir(page), 0o755); err != nil {
		t.Fatal(err)
	}
	const old = "before\n" + docsBegin + "old\n" + docsEnd + "after\n"
	if err := errors.Join(os.WriteFile(readme, []byte(old), 0o644), os.WriteFile(page, []byte(old), 0o644), r.writeDocs(dir)); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		readme: "before\n" + docsBegin + "|  | ratio |\n| --- | ---: |\n| a | 2 |\n" + docsEnd + "after\n",
		page:   "- a note\n\n### Files\n\n|  | ratio |\n| --- | ---: |\n| b | 3 |\n" + docsEnd + "after\n",
	} {
		if got, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(got), want) || strings.Contains(string(got), "old") {
			t.Errorf("%s: got %q, %v", file, got, err)
		}
	}
	if err := replaceInFile(readme, ""); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(readme, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.writeDocs(dir); err == nil || !strings.Contains(err.Error(), "has no marks") {
		t.Errorf("a page without marks: got %v", err)
	}
}

func TestParsePerf(t *testing.T) {
	t.Parallel()
	got := parsePerf("# Overhead  Symbol\n#\n    40.50%  [k] tcp_sendmsg\n    10.25%  [.] runtime.futex\n     1.00%  [k] a b\n\n")
	want := profiled{41.5, []string{"40 % tcp_sendmsg", "10 % runtime.futex", "1 % a b"}}
	if got.kernel != want.kernel || !slices.Equal(got.symbols, want.symbols) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseSockstat(t *testing.T) {
	t.Parallel()
	if got := parseSockstat([]byte("sockets: used 5\nTCP: inuse 2 orphan 0 tw 1 alloc 3 mem 42\nUDP: inuse 0 mem 7\n")); got != 42 {
		t.Errorf("got %d", got)
	}
	if got := parseSockstat(nil); got != 0 {
		t.Errorf("of nothing: got %d", got)
	}
}

func TestUnitConf(t *testing.T) {
	t.Parallel()
	s := rowsSite(2)
	s.trusted, s.threads = true, 4
	b, err := unitConf("/dir", "127.0.0.1:80", &project{dir: "/p", packages: "/q"}, []site{s})
	for _, want := range []string{`"processes":2,"threads":4`, `"127.0.0.1:80":{"forwarded"`, `"module":"rows"`, `"host":"rows.example.com"`} {
		if err == nil && !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s, %v", want, b, err)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	r := newReport("test")
	r.note("a note")
	r.note("a note")
	table := r.table("A table", "server", "MB")
	table.row("multisite", figure{rounds: []float64{3, 1, 2}, digits: 1})
	text := r.markdown()
	if !strings.Contains(text, "## A table\n\n| server | MB |\n| --- | ---: |\n| multisite | 2.0 (1.0–3.0) |\n") || strings.Count(text, "a note") != 1 {
		t.Errorf("got\n%s", text)
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if err := r.writeJSON(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if f, _ := got.Tables[0].Rows[0][1].(map[string]any); f["median"] != 2.0 || f["max"] != 3.0 {
		t.Errorf("got %s", b)
	}
}

func TestWindows(t *testing.T) {
	t.Parallel()
	w := &windows{start: time.Now().Add(-2*window - window/2)}
	w.answer(time.Now(), true)
	w.answer(time.Now(), true)
	w.answer(time.Now(), false)
	got := w.perSecond(0, 4)
	for i, want := range []float64{0, 0, 2 / window.Seconds(), 0} {
		if got[i] != want {
			t.Errorf("window %d: got %v, want %v", i, got[i], want)
		}
	}
}
