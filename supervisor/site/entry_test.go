package site

import (
	"strings"
	"testing"
	"time"
)

func TestEntry_AppendCombined(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", -5*3600)
	tests := []struct {
		name  string
		entry Entry
		want  string
	}{
		{
			"a page", Entry{
				Client: "10.0.0.1", Line: "GET /a?b=c HTTP/1.1", Referer: "http://x/", Agent: "curl/8",
				Time: time.Date(2026, 11, 2, 3, 4, 5, 0, zone), Took: 1234567 * time.Nanosecond, Status: 200, Bytes: 12, Worker: "blog/1", Host: "blog.test", ID: "id1",
			}, `10.0.0.1 - - [02/Nov/2026:03:04:05 -0500] "GET /a?b=c HTTP/1.1" 200 12 "http://x/" "curl/8" 0.0012 blog/1 blog.test id1`,
		}, {
			"IPv6, nothing said", Entry{
				Client: "::1", Line: "HEAD * HTTP/1.0",
				Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Took: 61 * time.Second, Status: 499,
			}, `::1 - - [02/Jan/2026:03:04:05 +0000] "HEAD * HTTP/1.0" 499 0 "-" "-" 61.0000 - - -`,
		}, {
			"forged lines", Entry{
				Client: "@", Line: "GET /\" 200 1\n HTTP/1.1", Referer: "a\"b\\c", Agent: "x\r\n1.1.1.1 \x1b[2J \u00e9\u202e",
				Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Status: 404,
			}, `@ - - [02/Jan/2026:03:04:05 +0000] "GET /\" 200 1\n HTTP/1.1" 404 0 "a\"b\\c" "x\r\n1.1.1.1 \x1b[2J \u00e9\u202e" 0.0000 - - -`,
		},
	}
	for _, test := range tests {
		if got := string(test.entry.AppendCombined([]byte("> "))); got != "> "+test.want+"\n" {
			t.Errorf("%s:\ngot  %swant %s", test.name, got, test.want)
		}
	}
}

func TestRefusal_AppendCombined(t *testing.T) {
	t.Parallel()
	r := Refusal{Entry: Entry{Client: "192.0.2.1", Line: "\x16\x03 \"\u202e", Time: time.Date(2026, 7, 4, 12, 0, 0, 0, time.UTC), Status: 400},
		Host: "a\" b\x1b", Site: "shop", Why: "TLS, where HTTP is spoken"}
	want := `192.0.2.1 - - [04/Jul/2026:12:00:00 +0000] "\x16\x03 \"\u202e" 400 0 "-" "-" 0.0000 - site=shop host="a\" b\x1b" why="TLS, where HTTP is spoken" id=-` + "\n"
	if got := string(r.AppendCombined(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.Site, r.Host = "", ""
	if got := string(r.AppendCombined(nil)); !strings.Contains(got, ` site=- host="-" why=`) {
		t.Errorf("got %s", got)
	}
}
