package fastcgi

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

// unpack is a slow and simple decoder of packed parameters. It adds the variables that our
// own worker assumes.
func unpack(t *testing.T, packed []byte, script string) map[string]string {
	t.Helper()
	pairs, err := decodePairs(string(packed))
	if err != nil || len(pairs) != 1 {
		t.Fatalf("got %d pairs (%v), want one", len(pairs), err)
	}
	all := map[string]string{
		"REQUEST_METHOD": "GET", "SCRIPT_NAME": script, "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1",
		"REQUEST_SCHEME": "http", "SERVER_PORT": "80",
	}
	parts := strings.Split(pairs[""], "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		all[parts[i]] = parts[i+1]
	}
	return all
}

// TestPacked_SameAsPairs compares both encodings of parameters.
func TestPacked_SameAsPairs(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/?a=b", "https://example.com:8443/sub/x?y"} {
		for _, method := range []string{"GET", "POST"} {
			r := httptest.NewRequest(method, target, nil)
			r.RequestURI = target
			r.Header = browserHeader()
			r.Header["X-Twice"] = []string{"one", "two"}
			want, err := decodePairs(string(appendParams(nil, headOf(r), "/sub")))
			if err != nil {
				t.Fatal(err)
			}
			packed, ok := appendPacked([]byte("before"), headOf(r), "/sub")
			if got := unpack(t, packed[len("before"):], "/sub"); !ok || !reflect.DeepEqual(got, want) {
				t.Errorf("%s %s:\ngot  %v\nwant %v", method, target, got, want)
			}
		}
	}
}

// TestPacked_RefusesNUL: a request with a NUL in a value is sent as pairs.
func TestPacked_RefusesNUL(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/a%00b", nil)
	if b, ok := appendPacked([]byte("before"), headOf(r), ""); ok || string(b) != "before" {
		t.Errorf("got %q, %v", b, ok)
	}
	c := startWorker(t, Options{Packed: true}, func(p *peer) {
		p.welcome("")
		got, _ := p.request()
		p.send(answer(got.id, "\n"+got.params["PATH_INFO"]))
	})
	if _, body, err := fetch(c, newRequest(t, "GET", "/a%00b", "")); err != nil || body != "/a\x00b" {
		t.Errorf("got %q, %v", body, err)
	}
}
