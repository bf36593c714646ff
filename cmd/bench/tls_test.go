package main

import (
	"slices"
	"strings"
	"testing"
)

func TestParseH2load(t *testing.T) {
	t.Parallel()
	out := "starting benchmark...\n\nfinished in 2.00s, 1234.50 req/s, 1.2MB/s\nrequests: 4 total\n"
	got, err := parseH2load(out, "1\t200\t1000\n2\t200\t3000\n3\t503\t10\n4\t200\t2000\n")
	if err != nil || got.perSecond != 1234.5 || got.requests != 4 || got.bad != 1 || got.p50 != 2 || got.why != "status 503" {
		t.Errorf("got %+v, %v", got, err)
	}
	for name, in := range map[string][2]string{"no rate": {"", "1\t200\t1\n"}, "no answer": {out, "1\t-1\t1\n"}, "no log": {out, "nonsense\n"}} {
		if _, err := parseH2load(in[0], in[1]); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// TestWithoutMissing guards that rows are never skipped in silence.
func TestWithoutMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no h2load
	all, err := choose(setups(16, "/files", "/program"), []string{"tls", "h2", "handshakes"})
	if err != nil {
		t.Fatal(err)
	}
	r := newReport("test")
	left := withoutMissing(r, all)
	if len(left) != 1 || len(left[0].rows) != 1 || left[0].rows[0].name != "handshakes" {
		t.Errorf("got %+v", left)
	}
	skipped := slices.DeleteFunc(r.Notes, func(n string) bool {
		return !strings.Contains(n, "skipped: h2load is missing (apt-get install nghttp2-client)")
	})
	if len(skipped) != 4 {
		t.Errorf("got notes %q, want one for each of 4 rows", skipped)
	}
}

// TestTLS_ComparesAnswers drives a real multisite with TLS.
func TestTLS_ComparesAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.testProject(t)
	s := rowsSite(1)
	s.tls = t.TempDir()
	if err := writeCertificate(s.tls); err != nil {
		t.Fatal(err)
	}
	n, err := shared.start(t.Context(), b, p, []site{s})
	if err != nil {
		t.Fatal(err)
	}
	defer n.stop()
	x := get("", "1 KB", 1000, 2)
	got, err := n.drive(t.Context(), s.host, handshakeRow(x), b.rowTime())
	if err != nil || got.bad != 0 || got.requests == 0 {
		t.Errorf("handshakes: got %+v, %v", got, err)
	}
	wrong := x.request
	wrong.want = pattern(999)
	for _, over := range []protocol{http1TLS, http2TLS} {
		x.request.over, wrong.over = over, over
		if err := askTLS(t.Context(), n.tlsAddr, s.host, x.request); err != nil {
			t.Errorf("protocol %d: %v", over, err)
		}
		if askTLS(t.Context(), n.tlsAddr, s.host, wrong) == nil {
			t.Errorf("protocol %d: a wrong body was taken for the right one", over)
		}
	}
}
