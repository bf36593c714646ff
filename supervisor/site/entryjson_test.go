package site

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

func TestEntry_AppendJSON(t *testing.T) {
	t.Parallel()
	e := Entry{
		Client: "10.0.0.1", Line: "GET /a?b=c HTTP/1.1", Referer: "http://x/", Agent: "a\"b\\c\x01é\U0001f600\xff\u202e", Host: "blog.test", ID: "id1", TLS: "TLS 1.3",
		Time: time.Date(2026, 11, 2, 3, 4, 5, 6_000_000, time.FixedZone("", -5*3600)), Took: 1234567 * time.Nanosecond,
		Queue: 250 * time.Microsecond, App: time.Millisecond, Status: 200, Bytes: 12, Worker: "blog/1",
	}
	const want = `{"time":"2026-11-02T08:04:05.006Z","site":"blog","worker":"blog/1","request_id":"id1","client":"10.0.0.1","host":"blog.test",` +
		`"method":"GET","path":"/a","query":"b=c","http":"1.1","tls":"1.3","status":200,"bytes":12,"took_ms":1.235,"queue_ms":0.250,"app_ms":1.000,` +
		`"referer":"http://x/","user_agent":"a\"b\\c\u0001\u00e9\ud83d\ude00\ufffd\u202e"}` + "\n"
	if got := string(e.AppendJSON(nil, "blog")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e = Entry{Client: "::1", Line: "GET / HTTP/1.0", Time: time.Unix(0, 0), Status: 499}
	const least = `{"time":"1970-01-01T00:00:00.000Z","site":"s","client":"::1","method":"GET","path":"/","http":"1.0","status":499,"bytes":0,"took_ms":0.000}` + "\n"
	if got := string(e.AppendJSON(nil, "s")); got != least {
		t.Errorf("got  %s\nwant %s", got, least)
	}
}

// FuzzEntry_AppendJSON: whatever a client sends, it is one line of JSON that says it.
func FuzzEntry_AppendJSON(f *testing.F) {
	f.Add("GET /a?b HTTP/1.1", "x\"},{\n", "\xff\u2028", "a")
	f.Add("", "\\", "\\u0041", "\x7f")
	f.Fuzz(func(t *testing.T, line, referer, agent, host string) {
		e := Entry{Line: line, Referer: referer, Agent: agent, Host: host, Client: "::1", Worker: "a/1"}
		b := e.AppendJSON(nil, "site")
		if bytes.Count(b, []byte("\n")) != 1 || b[len(b)-1] != '\n' || bytes.ContainsFunc(b[:len(b)-1], func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q", b)
		}
		var got map[string]any
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		for name, want := range map[string]string{"referer": referer, "user_agent": agent, "host": host} {
			if said, _ := got[name].(string); utf8.ValidString(want) && said != want {
				t.Errorf("%s: got %q, want %q", name, said, want)
			}
		}
	})
}

func BenchmarkEntry(b *testing.B) {
	e := Entry{
		Client: "203.0.113.9", Line: "GET /articles/2026/?page=2 HTTP/1.1", Referer: "https://blog.example.com/articles/", Host: "blog.example.com", ID: "0123456789abcdefghij",
		Agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36",
		Time:  time.Now(), Took: 1234567, Queue: 1000, App: 1200000, Status: 200, Bytes: 12345, Worker: "blog/1",
	}
	line := make([]byte, 0, 1000)
	b.Run("combined", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			line = e.AppendCombined(line[:0])
		}
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			line = e.AppendJSON(line[:0], "blog")
		}
	})
}
