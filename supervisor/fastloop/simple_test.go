package fastloop

import (
	"bufio"
	"bytes"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"github.com/multisite/multisite/supervisor/httphead"
	"github.com/multisite/multisite/worker/wire"
)

func TestParseSimple(t *testing.T) {
	t.Parallel()
	const host = "Host: a\r\n"
	line := func(uri string) string { return "GET " + uri + " HTTP/1.1\r\n" + host + "\r\n" }
	head := func(lines string) string { return "GET / HTTP/1.1\r\n" + lines + "\r\n" }
	many := ""
	for i := range maxSimpleLines - 1 {
		many += "X-" + string(rune('A'+i/26)) + string(rune('A'+i%26)) + ": y\r\n"
	}
	tests := map[string]struct {
		data string
		ok   bool
	}{
		"plain":                          {line("/"), true},
		"query":                          {line("/a/b?c=%20&d=?"), true},
		"empty query":                    {line("/?"), true},
		"HEAD":                           {"HEAD / HTTP/1.1\r\n" + host + "\r\n", true},
		"POST":                           {"POST / HTTP/1.1\r\n" + host + "\r\n", true},
		"another method":                 {"PROPFIND / HTTP/1.1\r\n" + host + "\r\n", true},
		"percent in the path":            {line("/a%20b%2f%00"), true},
		"header twice":                   {head(host + "X-A: a\r\nx-a: b\r\n"), true},
		"no-cache":                       {head(host + "Pragma: no-cache\r\n"), true},
		"no body":                        {head(host + "content-length: 0\r\n"), true},
		"the largest body":               {head(host + "Content-Length: 131072\r\n"), true},
		"a larger body":                  {head(host + "Content-Length: 131073\r\n"), false},
		"a far larger body":              {head(host + "Content-Length: 99999999999999999999\r\n"), false},
		"an odd but right length":        {head(host + "Content-Length: 0005\r\n"), true},
		"two lengths":                    {head(host + "Content-Length: 5\r\nContent-Length: 5\r\n"), false},
		"two lengths in one":             {head(host + "Content-Length: 5, 5\r\n"), false},
		"an empty length":                {head(host + "Content-Length:\r\n"), false},
		"a length with a sign":           {head(host + "Content-Length: +5\r\n"), false},
		"a negative length":              {head(host + "Content-Length: -1\r\n"), false},
		"a length in hexadecimal":        {head(host + "Content-Length: 0x5\r\n"), false},
		"length and chunks":              {head(host + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), false},
		"no header but Host":             {head(host), true},
		"odd but right path":             {line(`/a"<>\^{|}~;:@!$&'()*+,=-._[]`), true},
		"spaces around values":           {head("Host: \ta\t \r\nX-A:b\r\n"), true},
		"latin-1 and tab in a value":     {head(host + "X-A: Andr\xe9\tb\r\n"), true},
		"empty value":                    {head(host + "X-A:\r\n"), true},
		"keep-alive":                     {head(host + "connection: Keep-Alive\r\n"), true},
		"close":                          {head(host + "Connection: close\r\n"), true},
		"forwarded twice":                {head(host + "X-Forwarded-For: a\r\nX-Forwarded-For: b\r\n"), true},
		"underscore twice":               {head(host + "X_A: a\r\nX_A: b\r\n"), true},
		"most fields":                    {head(host + many), true},
		"one field more":                 {head(host + many + "X-Last: a\r\n"), false},
		"nothing":                        {"", false},
		"an empty line":                  {"\r\n\r\n", false},
		"half a head":                    {"GET / HTTP/1.1\r\nHost: a\r\n", false},
		"a byte more":                    {line("/") + "x", false},
		"two requests":                   {line("/") + line("/"), false},
		"a body":                         {"GET / HTTP/1.1\r\nHost: a\r\n\r\nb\r\n\r\n", false},
		"too large":                      {head(host + "X-A: " + strings.Repeat("a", maxSimpleHead) + "\r\n"), false},
		"get":                            {"get / HTTP/1.1\r\n" + host + "\r\n", false},
		"HTTP/1.0":                       {"GET / HTTP/1.0\r\n" + host + "\r\n", false},
		"HTTP/0.9":                       {"GET /\r\n" + host + "\r\n", false},
		"http/1.1":                       {"GET / http/1.1\r\n" + host + "\r\n", false},
		"two spaces":                     {"GET  / HTTP/1.1\r\n" + host + "\r\n", false},
		"space at the end":               {"GET / HTTP/1.1 \r\n" + host + "\r\n", false},
		"space in the path":              {line("/a b"), false},
		"percent alone in the path":      {line("/a%"), false},
		"half an escape in the path":     {line("/a%2"), false},
		"no escape in the path":          {line("/a%2x"), false},
		"CONNECT":                        {"CONNECT / HTTP/1.1\r\n" + host + "\r\n", false},
		"PRI":                            {"PRI / HTTP/1.1\r\n" + host + "\r\n", false},
		"no method":                      {" / HTTP/1.1\r\n" + host + "\r\n", false},
		"a method with a sign":           {"M-SEARCH / HTTP/1.1\r\n" + host + "\r\n", false},
		"fragment":                       {line("/a#b"), false},
		"control character in the path":  {line("/a\x01"), false},
		"DEL in the path":                {line("/a\x7f"), false},
		"latin-1 in the path":            {line("/a\xe9"), false},
		"no slash":                       {line("a"), false},
		"star":                           {line("*"), false},
		"two slashes":                    {line("//a/b"), false},
		"absolute":                       {line("http://a/"), false},
		"query without a path":           {line("?a"), false},
		"no Host":                        {head("X-A: b\r\n"), false},
		"an empty Host":                  {head("Host:\r\n"), false},
		"two Hosts":                      {head("Host: a\r\nHost: a\r\n"), false},
		"two Hosts, the first one empty": {head("Host:\r\nHost: a\r\n"), false},
		"two Hosts, the last one empty":  {head("Host: a\r\nHost:\r\n"), false},
		"Transfer-Encoding":              {head(host + "Transfer-Encoding: chunked\r\n"), false},
		"Expect":                         {head(host + "Expect: 100-continue\r\n"), false},
		"Upgrade":                        {head(host + "Upgrade: websocket\r\n"), false},
		"TE":                             {head(host + "TE: trailers\r\n"), false},
		"Trailer":                        {head(host + "Trailer: X-A\r\n"), false},
		"Keep-Alive":                     {head(host + "Keep-Alive: 5\r\n"), false},
		"Proxy-Connection":               {head(host + "Proxy-Connection: keep-alive\r\n"), false},
		"Proxy-Authorization":            {head(host + "Proxy-Authorization: a\r\n"), false},
		"Connection: X-A":                {head(host + "Connection: X-A\r\n"), false},
		"Connection: keep-alive, X-A":    {head(host + "Connection: keep-alive, X-A\r\n"), false},
		"no colon":                       {head(host + "X-A\r\n"), false},
		"no name":                        {head(host + ": a\r\n"), false},
		"space in a name":                {head(host + "X A: a\r\n"), false},
		"space before the colon":         {head(host + "X-A : a\r\n"), false},
		"continued line":                 {head(host + "X-A: a\r\n b\r\n"), false},
		"LF in a value":                  {head(host + "X-A: a\nX-B: b\r\n"), false},
		"CR in a value":                  {head(host + "X-A: a\rb\r\n"), false},
		"NUL in a value":                 {head(host + "X-A: a\x00b\r\n"), false},
		"lines end with LF":              {"GET / HTTP/1.1\nHost: a\n\n", false},
	}
	for name, test := range tests {
		if _, ok := parseSimple([]byte(test.data), false); ok != test.ok {
			t.Errorf("%s: got %v, want %v", name, ok, test.ok)
		}
	}
}

func TestParseSimple_Reads(t *testing.T) {
	t.Parallel()
	r, ok := parseSimple([]byte("HEAD /a/b?c=d?e HTTP/1.1\r\nHost: A.test:80\r\nReferer: /from\r\nuser-agent: me\r\nx-forwarded-for: no\r\n"+
		"X_A: no\r\nForwarded: no\r\nConnection: close\r\nX-A: b \r\n\r\n"), false)
	want := [][2]string{{"Referer", "/from"}, {"user-agent", "me"}, {"X-A", "b"}, {"X-Request-Id", r.id}}
	if !ok || r.Method != "HEAD" || r.URI != "/a/b?c=d?e" || r.Path != "/a/b" || r.Query != "c=d?e" || r.Proto != "HTTP/1.1" || r.Host != "A.test:80" ||
		r.Scheme != "http" || r.Length != -1 || !reflect.DeepEqual(r.Fields, want) {
		t.Errorf("got %+v", r.Head)
	}
	if r.line != "HEAD /a/b?c=d?e HTTP/1.1" || r.what() != "HEAD /a/b?…" || r.referer != "/from" || r.agent != "me" || !r.last {
		t.Errorf("got %+v", r)
	}
}

// FuzzSimple: what parseSimple accepts, net/http accepts too, as one whole request,
// and understands it the same, whether or not it comes from a trusted proxy.
func FuzzSimple(f *testing.F) {
	for _, seed := range [][4]string{
		{"/", "a", "X-A", "b"}, {"/a?b", "a:80", "Connection", "close"}, {"/a;b:c@d?%zz", "[::1]:80", "User-Agent", "\xe9\t"},
		{"/[]\"<>", "a_b.C.", "X-Forwarded-For", "a"}, {"/?", "a", "A_B", "c"}, {"/", "a", "Pragma", "no-cache"},
		{"/ HTTP/1.1\r\nHost:", "a", "Connection", "close\r\nconnection: keep-alive"}, {"/", "", "Host", "a"},
		{"/", "a", "X-Forwarded-For", "6.6.6.6, [2600::1]:80\r\nx-forwarded-proto: HTTPS\r\nforwarded: for=1.1.1.1;host=a\r\nX_Forwarded_For: ::1"},
		{"/", "a", "Forwarded", "for=6.6.6.6, for=\"[2600::1]:80\";proto=https;host=a"}, {"/", "a", "X-Forwarded-For", "a\r\nX-Forwarded-For: b"},
		{"/", "a", "X-A", "b\r\nCookie: c=d\r\nExpect: a"}, {"/", "a", "Transfer-Encoding", "chunked\r\nContent-Length: 0"},
		{"/a%20b%2fc%00%C3%a9?d", "a", "Pragma", "no-cache\r\nCache-Control: max-age=0"}, {"/%2", "a", "Pragma", "x\r\npragma: no-cache"},
		{"/", "a", "Cookie", "a=b\r\ncookie: c=d\r\nX-A: a\r\nX-A:\r\nReferer: a\r\nreferer: b"},
		{"/", "a", "X-Forwarded-For", "6.6.6.6\r\nX-Forwarded-For: \"2600::1\"\r\nX-Forwarded-Proto: \r\nX-Forwarded-Proto:https"},
		{"/", "a", "Forwarded", "for=6.6.6.6\r\nForwarded: for=\"1.1.1.1\r\nForwarded: \""}, {"/", "a", "X-Forwarded-Host", "\r\nForwarded: for=1.1.1.1"},
		{"/", "a", "Content-Length", "5"}, {"/", "a", "Content-Length", "05"}, {"/", "a", "Content-Length", "+5"}, {"/", "a", "Content-Length", "5\r\nContent-Length: 5"},
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			f.Add(method, seed[0], seed[1], seed[2], seed[3], "hello")
		}
	}
	f.Add("M-SEARCH", "/", "a", "X-A", "b", "")
	f.Add("CONNECT", "/", "a", "X-A", "b", "")
	requests := make(chan *http.Request, 2)
	l := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	s := &http.Server{
		MaxHeaderBytes: httphead.MaxLength, DisableGeneralOptionsHandler: true, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // what is missing shows
			r.Body = io.NopCloser(bytes.NewReader(body))
			requests <- r
		}),
	}
	go s.Serve(l)
	f.Cleanup(func() { close(l.done); s.Close() })
	f.Fuzz(func(t *testing.T, method, uri, host, name, value, body string) {
		data := []byte(method + " " + uri + " HTTP/1.1\r\nHost: " + host + "\r\n" + name + ": " + value + "\r\n\r\n" + body)
		end := headEnd(data, 0)
		r, ok := parseSimple(data[:end], false)
		length := max(int(r.Length), 0)
		if _, err := httphead.NormalizeHost(r.Host); !ok || err != nil || length > len(data)-end {
			return
		}
		r.Body, data = data[end:end+length], data[:end+length]
		if after, err := httphead.Read(string(data[:end])); err != nil || after != httphead.EndAfter(r.Length) {
			t.Fatalf("httphead reads it in another way: %v, %v", after, err)
		}
		client, conn := net.Pipe()
		defer client.Close()
		l.conns <- conn
		go client.Write(data) // ends with the connection
		resp, err := http.ReadResponse(bufio.NewReader(client), &http.Request{Method: r.Method})
		if err != nil || resp.StatusCode != 200 || resp.Close != r.last {
			t.Fatalf("net/http does not accept it, or closes another way (%v): %v, %v", r.last, resp, err)
		}
		want := <-requests
		got, err := io.ReadAll(want.Body)
		if err != nil || string(got) != string(r.Body) || want.ContentLength != int64(length) {
			t.Errorf("net/http reads a body %q of %d (%v), want %q", got, want.ContentLength, err, r.Body)
		}
		compareSimple(t, &r, want.Clone(t.Context()), nil)
		if r, ok := parseSimple(data[:end], true); ok {
			compareSimple(t, &r, want, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
		}
	})
}

// compareSimple lets both see a request of 192.0.2.1:1234.
func compareSimple(t *testing.T, r *simple, want *http.Request, trusted []netip.Prefix) {
	t.Helper()
	want.RemoteAddr = "192.0.2.1:1234"
	r.RemoteAddr, r.RemotePort = "192.0.2.1", "1234"
	scheme := httphead.SetClient(want, trusted)
	httphead.StripHop(want.Header)
	if r.trusted {
		r.setForwarded(trusted)
	}
	if got := net.JoinHostPort(r.RemoteAddr, r.RemotePort); got != want.RemoteAddr {
		t.Errorf("got it from %s, want %s", got, want.RemoteAddr)
	}
	if r.Method != want.Method || r.URI != want.RequestURI || r.Path != want.URL.Path || r.Query != want.URL.RawQuery || r.Host != want.Host ||
		r.Proto != want.Proto || r.Scheme != scheme || (r.Length >= 0) != (want.Header["Content-Length"] != nil) {
		t.Errorf("got  %+v\nwant %+v", r.Head, want)
	}
	delete(want.Header, "Content-Length")
	got, joined := map[string]string{}, map[string]string{}
	for _, f := range r.Fields {
		if name := textproto.CanonicalMIMEHeaderKey(f[0]); got[name] == "" {
			got[name] = f[1]
		} else {
			t.Errorf("%s twice", name)
		}
	}
	for name, values := range want.Header {
		joined[name] = strings.Join(values, wire.Separator(name))
	}
	if said := joined[httphead.RequestID]; !httphead.ValidID(said) {
		joined[httphead.RequestID] = r.id
	}
	if !maps.Equal(got, joined) {
		t.Errorf("got  %q\nwant %q", got, joined)
	}
	if r.referer != want.Referer() || r.agent != want.UserAgent() {
		t.Errorf("got %q and %q", r.referer, r.agent)
	}
}

// pipes is a listener for connections in memory.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
