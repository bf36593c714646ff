package app

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestKeySum_EveryPartCounts(t *testing.T) {
	t.Parallel()
	key := Key("a key of thirty-two characters..")
	same := key.Sum("login", "ab", "c")
	if same != key.Sum("login", "ab", "c") {
		t.Error("one input has two sums")
	}
	for name, other := range map[string]string{
		"another key":     Key("b").Sum("login", "ab", "c"),
		"another purpose": key.Sum("vote", "ab", "c"),
		"a moved letter":  key.Sum("login", "a", "bc"),
		"a lost part":     key.Sum("login", "ab"),
	} {
		if other == same {
			t.Errorf("%s has the same sum", name)
		}
	}
}

func TestClientAddr(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "/", nil)
	if got := ClientAddr(r); got != "192.0.2.1" { // httptest's
		t.Errorf("got %q", got)
	}
	r.Header.Set("X-Forwarded-For", "198.51.100.9, 203.0.113.5")
	if got := ClientAddr(r); got != "203.0.113.5" {
		t.Errorf("got %q, want the hop that the front door added", got)
	}
}

func TestAsked_IsThePathBeforeItWasStripped(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/admin/?q=a%20b":             "/admin/?q=a%20b",
		"http://other.example/a%2Fb?": "/a%2Fb",
	} {
		r := httptest.NewRequest("GET", target, nil)
		r.URL.Path = "/"
		if got := RequestURL(r).String(); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}

// FuzzLocalPath looks for a target with which a browser would leave the site.
func FuzzLocalPath(f *testing.F) {
	for _, target := range []string{"/", "/admin/?q=1#top", "//evil.example", `/\evil.example`, "/\t/evil.example", "https:/evil", "/a//b", "http://", "/%2f/evil", "?x", ""} {
		f.Add(target)
	}
	base, err := url.Parse("http://here.example/accounts/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got := LocalPath(target, "/fallback")
		if got == "/fallback" {
			return
		}
		if got != target || strings.HasPrefix(got, "//") || strings.ContainsAny(got, "\\\t\r\n") {
			t.Fatalf("%q became %q", target, got)
		}
		to, err := base.Parse(got)
		if err != nil || to.Host != base.Host || to.Scheme != base.Scheme {
			t.Fatalf("%q leads to %v, %v", target, to, err)
		}
	})
}
