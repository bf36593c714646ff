package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/httphead"
)

// TestServer_Framing: the loop and net/http agree about where a body ends, and refuse
// what is ambiguous.
func TestServer_Framing(t *testing.T) {
	t.Parallel()
	const host, body = "Host: site.test\r\n", "5\r\nhello\r\n0\r\n\r\n"
	get := func(lines string) string { return "GET /a HTTP/1.1\r\n" + host + lines + "\r\n" }
	post := func(lines, body string) string { return "POST /a HTTP/1.1\r\n" + host + lines + "\r\n" + body }
	chunks := func(body string) string { return post("Transfer-Encoding: chunked\r\n", body) }
	target := func(target string) string { return "GET " + target + " HTTP/1.1\r\n" + host + "\r\n" }
	for name, test := range map[string]struct {
		text, want string // statuses; 200 is what a worker answered
	}{
		"GET":                              {get(""), "200"},
		"GET with a length":                {get("Content-Length: 1\r\n") + "x", "200"},
		"length":                           {post("Content-Length: 5\r\n", "hello"), "200"},
		"chunks":                           {chunks(body), "200"},
		"Chunked":                          {post("transfer-encoding: Chunked\r\n", body), "200"},
		"length and chunks":                {post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body), "400"},
		"chunks and length":                {post("Transfer-Encoding: chunked\r\nContent-Length: 15\r\n", body), "400"},
		"GET, length and chunks":           {get("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", "400"},
		"HTTP/1.0, chunks":                 {strings.Replace(chunks(body), "1.1", "1.0", 1), "400"},
		"HTTP/1.0, keep-alive, chunks":     {strings.Replace(post("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", body), "1.1", "1.0", 1), "400"},
		"two lengths":                      {post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"), "400"},
		"a length twice":                   {post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), "400"},
		"a length twice in a line":         {post("Content-Length: 5, 5\r\n", "hello"), "400"},
		"a length with a sign":             {post("Content-Length: +5\r\n", "hello"), "400"},
		"a length below zero":              {post("Content-Length: -5\r\n", "hello"), "400"},
		"no length":                        {post("Content-Length:\r\n", ""), "400"},
		"a hexadecimal length":             {post("Content-Length: 0x5\r\n", "hello"), "400"},
		"a length beyond all":              {post("Content-Length: 9223372036854775808\r\n", ""), "400"},
		"gzip":                             {post("Transfer-Encoding: gzip\r\n", body), "400"},
		"gzip, chunked":                    {post("Transfer-Encoding: gzip, chunked\r\n", body), "501"},
		"gzip, then chunked":               {post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", body), "501"},
		"chunked, gzip":                    {post("Transfer-Encoding: chunked, gzip\r\n", body), "400"},
		"chunked twice":                    {post("Transfer-Encoding: chunked, chunked\r\n", body), "400"},
		"chunked in two lines":             {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body), "400"},
		"identity":                         {post("Transfer-Encoding: identity\r\n", ""), "400"},
		"no coding":                        {post("Transfer-Encoding:\r\n", body), "400"},
		"xchunked":                         {post("Transfer-Encoding: xchunked\r\n", body), "400"},
		"CONNECT":                          {"CONNECT site.test:443 HTTP/1.1\r\n" + host + "\r\n", "405"},
		"CONNECT of a path":                {"CONNECT /a HTTP/1.1\r\n" + host + "\r\n", "405"},
		"the preface of HTTP/2":            {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "405"},
		"PRI":                              {"PRI /a HTTP/1.1\r\n" + host + "\r\n", "405"},
		"OPTIONS *":                        {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "200"},
		"OPTIONS * of nobody":              {"OPTIONS * HTTP/1.1\r\nHost: other.test\r\n\r\n", "200"},
		"OPTIONS":                          {"OPTIONS /a HTTP/1.1\r\n" + host + "\r\n", "200"},
		"GET *":                            {target("*"), "400"},
		"a URL":                            {target("http://site.test/a"), "200"},
		"a URL beats Host":                 {strings.Replace(target("http://site.test/a"), host, "Host: other.test\r\n", 1), "200"},
		"a URL of nobody":                  {target("http://other.test/a"), "421"},
		"a URL without a path":             {target("HTTP://site.test:80?b"), "200"},
		"a URL with a user":                {target("http://me@site.test/a"), "400"},
		"a URL with an empty user":         {target("http://@site.test/a"), "400"},
		"a URL without a host":             {target("http:///a"), "400"},
		"a URL of HTTPS":                   {target("https://site.test/a"), "400 200"},
		"a URL of FTP":                     {target("ftp://site.test/a"), "400"},
		"a URL of a file":                  {target("file:///a"), "400"},
		"a scheme and a path":              {target("http:/a"), "400"},
		"no slash":                         {target("a"), "400"},
		"no path":                          {target(""), "400"},
		"a malformed escape":               {target("/%zz"), "400"},
		"two slashes":                      {target("//other.test/a"), "200"},
		"no Host":                          {"GET /a HTTP/1.1\r\n\r\n", "400"},
		"two Hosts":                        {get(host), "400"},
		"a URL, no Host":                   {"GET http://site.test/a HTTP/1.1\r\n\r\n", "400"},
		"HTTP/1.0, two Hosts":              {"GET /a HTTP/1.0\r\n" + host + host + "\r\n", "400"},
		"HTTP/1.7":                         {"GET /a HTTP/1.7\r\n" + host + "\r\n", "200"},
		"HTTP/2.0":                         {"GET /a HTTP/2.0\r\n" + host + "\r\n", "505"},
		"HTTP/0.9":                         {"GET /a\r\n" + host + "\r\n", "400"},
		"HTTP/1.10":                        {"GET /a HTTP/1.10\r\n" + host + "\r\n", "400"},
		"two spaces":                       {"GET  /a HTTP/1.1\r\n" + host + "\r\n", "400"},
		"a tab":                            {"GET\t/a HTTP/1.1\r\n" + host + "\r\n", "400"},
		"a space at the end":               {"GET /a HTTP/1.1 \r\n" + host + "\r\n", "400"},
		"a method that is none":            {"G(T /a HTTP/1.1\r\n" + host + "\r\n", "400"},
		"TLS":                              {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},
		"a space before the colon":         {get("X-A : b\r\n"), "400"},
		"a space before a name":            {"GET /a HTTP/1.1\r\n X-A: b\r\n" + host + "\r\n", "400"},
		"a line that goes on":              {get("X-A: b\r\n c\r\n"), "400"},
		"a line that goes on with a colon": {get("X-A: b\r\n\tTransfer-Encoding: chunked\r\n"), "400"},
		"no colon":                         {get("X-A\r\n"), "400"},
		"no name":                          {get(": b\r\n"), "400"},
		"LF":                               {"GET /a HTTP/1.1\nHost: site.test\n\n", "400"},
		"LF in the head":                   {get("X-A: b\nX-B: c\r\n"), "400"},
		"LF at its end":                    {"GET /a HTTP/1.1\r\nHost: site.test\r\n\n", "400"},
		"CR in the head":                   {get("X-A: b\rX-B: c\r\n"), "400"},
		"CR before CRLF":                   {get("X-A: b\r\r\n"), "400"},
		"NUL":                              {get("X-A: b\x00\r\n"), "400"},
		"CRLF before":                      {"\r\n" + get(""), "200"},
		"three CRLF before":                {"\r\n\r\n\r\n" + post("Content-Length: 1\r\n", "x"), "200"},
		"LF before":                        {"\n" + get(""), "400"},
		"CR before":                        {"\r" + get(""), "400"},
		"CRLF between":                     {get("") + "\r\n\r\n" + get(""), "200 200"},
		"CRLF behind a POST":               {post("Content-Length: 1\r\n", "x") + "\r\n" + get(""), "200 200"},
		"CRLF behind chunks":               {chunks(body) + "\r\n\r\n\r\n" + chunks(body) + "\r\n", "200 200"},
		"as large as can be":               {get("X-A: " + strings.Repeat("a", httphead.MaxLength-len(get("X-A: \r\n"))) + "\r\n"), "200"},
		"larger":                           {get("X-A: " + strings.Repeat("a", httphead.MaxLength-len(get("X-A: \r\n"))+1) + "\r\n"), "431"},
		"larger than what is read":         {get("X-A: " + strings.Repeat("a", 2*fastloop.BufferSize) + "\r\n"), "431"},
		"chunk extensions":                 {chunks("5;a;b=c;d=\"e\"\r\nhello\r\n0;f\r\n\r\n"), "200"},
		"trailers":                         {chunks("0\r\nX-A: b\r\nContent-Length: 5\r\n\r\n"), "200"},
		"a long size":                      {chunks("0000000000000005\r\nhello\r\n0\r\n\r\n"), "200"},
		"a size beyond all":                {chunks("10000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
		"no size":                          {chunks("\r\nhello\r\n0\r\n\r\n"), "400"},
		"a size with a sign":               {chunks("+5\r\nhello\r\n0\r\n\r\n"), "400"},
		"a size with 0x":                   {chunks("0x5\r\nhello\r\n0\r\n\r\n"), "400"},
		"a space before a size":            {chunks(" 5\r\nhello\r\n0\r\n\r\n"), "400"},
		"a size and LF":                    {chunks("5\nhello\r\n0\r\n\r\n"), "400"},
		"a size and CR":                    {chunks("5\rX\nhello\r\n0\r\n\r\n"), "400"},
		"LF in an extension":               {chunks("5;a\nb\r\nhello\r\n0\r\n\r\n"), "400"},
		"a long extension":                 {chunks("5;" + strings.Repeat("a", (4<<10)) + "\r\nhello\r\n0\r\n\r\n"), "400"},
		"more than the size":               {chunks("5\r\nhello!\r\n0\r\n\r\n"), "400"},
		"LF behind a chunk":                {chunks("5\r\nhello\n0\r\n\r\n"), "400"},
		"LF behind the last chunk":         {chunks("0\r\n\n"), "400"},
		"LF in trailers":                   {chunks("0\r\nX-A: b\n\r\n"), "400"},
		"a trailer that goes on":           {chunks("0\r\nX-A: b\r\n c\r\n\r\n"), "400"},
		"a trailer without a colon":        {chunks("0\r\nX-A\r\n\r\n"), "400"},
		"long trailers":                    {chunks("0\r\n" + strings.Repeat("X-A: "+strings.Repeat("b", 100)+"\r\n", 50) + "\r\n"), "400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, w := range newWays(t, false, 10*time.Second)[:2] {
				got, want := w.talk(test.text), test.want
				if strings.HasPrefix(want, "200") || want == "421" {
					want += " 200" // the connection goes on
				}
				if got.statuses != want {
					t.Errorf("%s: got %s, want %s", w.name, got.statuses, want)
				}
				if n := strings.Count(want, "200"); !strings.Contains(name, "OPTIONS *") && len(got.seen) != n {
					t.Errorf("%s: workers got %q, want %d requests", w.name, got.seen, n)
				}
			}
		})
	}
}

// TestServer_TargetIsAURL: the worker gets a path, and the host of the URL, not of Host.
func TestServer_TargetIsAURL(t *testing.T) {
	plainOnly(t)
	t.Parallel()
	for _, w := range newWays(t, false, 10*time.Second)[:2] {
		for target, want := range map[string]string{
			"http://site.test/a/b?c=d": "GET /a/b?c=d /a/b c=d site.test", "HTTP://site.test:80?c://d": "GET /?c://d / c://d site.test:80",
			"http://site.test": "GET / /  site.test", "http://site.test/%61": "GET /%61 /a  site.test",
		} {
			got := w.talk("GET " + target + " HTTP/1.1\r\nHost: other.test\r\n\r\n")
			if len(got.seen) != 2 {
				t.Fatalf("%s, %s: got %s", w.name, target, got.statuses)
			}
			seen := strings.Split(got.seen[0], "\n")
			if seen := strings.Join(append(seen[:4:4], seen[5]), " "); seen != want {
				t.Errorf("%s, %s: got %q, want %q", w.name, target, seen, want)
			}
		}
	}
}

// TestServer_EmptyLinesInPieces: empty lines are skipped wherever they arrive, and take
// nothing from the time that a client has for its next request.
func TestServer_EmptyLinesInPieces(t *testing.T) {
	t.Parallel()
	f := startFront(t, newCrew(t, 1, echo), Options{})
	post := "POST /b HTTP/1.1\r\nHost: site.test\r\nContent-Length: 1\r\n\r\nx"
	p := f.dial("")
	for _, request := range []string{get("/a"), post, get("/a"), strings.Replace(chunked, "/a", "/b", 1)} {
		for _, piece := range []string{"\r", "\n", "\r\n\r", "\n\r\n"} {
			p.send(piece)
			f.wantRead()
		}
		p.send(request)
		p.wantBody(request[strings.Index(request, "/"):][:2])
	}
	f.wantMine(p, true)
}

// wantRead waits until all that was sent is read, by the loop.
func (f *front) wantRead() {
	f.tb.Helper()
	until(f.tb, "read", func() (is bool) {
		f.loop.Inspect(func(v fastloop.View) { is = v.Clients() > 0 && v.Silent() })
		return is
	})
}
