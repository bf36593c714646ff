package proxy

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// differSeeds are requests that are changed at random.
func differSeeds() (seeds []string) {
	const line, host = "GET /a?b=c HTTP/1.1\r\n", "Host: site.test\r\n"
	for _, k := range kinds {
		if len(k.body) < 1000 {
			seeds = append(seeds, k.method+" /a/b HTTP/1.1\r\n"+host+k.head+"\r\n"+k.body)
		}
	}
	seeds = append(seeds, ruledSeeds()...)
	return append(seeds,
		line+host+"X-A: b\r\nCookie: c=d\r\nUser-Agent: e\r\nReferer: /f\r\n\r\n",
		line+host+"Connection: close\r\n\r\n",
		line+host+"Connection: keep-alive\r\nAccept: */*\r\n\r\n",
		line+host+"Connection: X-A, close\r\nX-A: b\r\n\r\n",
		line+host+"X-Forwarded-For: 192.0.2.1, 127.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n\r\n",
		line+host+"X-Request-ID: abc-1\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nRemote-User: admin\r\n\r\n",
		line+host+"X-Request-ID: a\r\nX-Request-Id: b\r\n\r\n", line+host+"x-request-id: a b\r\nConnection: X-Request-ID, Remote-User\r\n\r\n",
		line+host+"Forwarded: for=192.0.2.1;proto=https\r\nX_Forwarded_For: a\r\nX-A_B: c\r\n\r\n",
		"GET /a HTTP/1.0\r\n"+host+"\r\n", "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n"+host+"\r\n",
		"GET http://site.test/a?b HTTP/1.1\r\n"+host+"\r\n", "GET https://site.test HTTP/1.1\r\n"+host+"\r\n",
		"OPTIONS * HTTP/1.1\r\n"+host+"\r\n", "CONNECT site.test:80 HTTP/1.1\r\n"+host+"\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET //a/../b%2fc;d HTTP/1.1\r\n"+host+"Pragma: no-cache\r\n\r\n", line+"Host: Site.Test.:80\r\n\r\n", line+"Host: other.test\r\n\r\n",
	)
}

// differPieces are what requests are changed with.
var differPieces = []string{
	"\r\n", "\r\n\r\n", "\n", "\r", " ", "\t", "\x00", "\x7f", "\xe9", ":", ",", ";", "%", "%41", "#", "?", "/", "//", "*", "@", "_", "-", "0", "1", "5", "a", "\"",
	"Host: site.test\r\n", "Host: a\r\n", "Content-Length: 0\r\n", "Content-Length: 1\r\n", "Content-Length: 5\r\n", "Content-Length: 1, 1\r\n",
	"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding : chunked\r\n",
	"Connection: close\r\n", "Connection: keep-alive\r\n", "Connection: Content-Length\r\n", "Expect: 100-continue\r\n", "Expect: a\r\n",
	"Trailer: X-A\r\n", "Trailer: Content-Length\r\n", "TE: trailers\r\n", "Upgrade: h2c\r\n", "X-A: b\r\n", " X-A: b\r\n", "X-A : b\r\n", "X_A: b\r\n",
	"X-Forwarded-For: 192.0.2.7\r\n", "X-Request-ID: a\r\n", "Remote-User: b\r\n", "0\r\n\r\n", "1\r\nx\r\n", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "http://", "GET ", "POST ", "HEAD ", "/old", "/r/", "/closed", "/staff/", authorization("alice", "wonder"),
}

// change changes a text at one place.
func change(random *rand.Rand, text string) string {
	at := random.IntN(len(text) + 1)
	end := min(len(text), at+1+random.IntN(3))
	piece := differPieces[random.IntN(len(differPieces))]
	switch random.IntN(5) {
	case 0:
		return text[:at] + text[end:]
	case 1:
		return text[:at] + piece + text[end:]
	case 2, 3: // a line of the head
		lines := strings.SplitAfter(text, "\n")
		n := random.IntN(len(lines))
		lines[n] = lines[n] + piece
		return strings.Join(lines, "")
	}
	return text[:at] + piece + text[at:]
}

// changed is one or two requests with some changes, the same for the same number.
func changed(n uint64) string {
	random, seeds := rand.New(rand.NewPCG(n, 6)), differSeeds()
	text := seeds[random.IntN(len(seeds))]
	if random.IntN(3) == 0 {
		text += seeds[random.IntN(len(seeds))]
	}
	for range random.IntN(4) {
		text = change(random, text)
	}
	return text
}

// TestServer_WaysDoNotDiffer: all ways answer thousands of requests, most of them
// malformed, in the same way.
func TestServer_WaysDoNotDiffer(t *testing.T) {
	t.Parallel()
	const inputs, atOnce = 2000, 48
	var all sync.WaitGroup
	numbers, suspects := make(chan uint64), make(chan uint64, inputs)
	for i := range atOnce {
		ways := newWays(t, i%2 == 0, 300*time.Millisecond)
		all.Go(func() {
			for n := range numbers {
				if difference(ways, changed(n)) != "" {
					suspects <- n
				}
			}
		})
	}
	for n := range uint64(inputs) {
		numbers <- n
	}
	close(numbers)
	all.Wait()
	close(suspects)
	for n := range suspects { // the machine may only be busy
		for _, trusted := range []bool{false, true} {
			all.Go(func() {
				if d := difference(newWays(t, trusted, 5*time.Second), changed(n)); d != "" {
					t.Errorf("trusted %v, %q: %s", trusted, changed(n), d)
				}
			})
		}
	}
	all.Wait()
}

// FuzzWays compares the same for whatever text.
func FuzzWays(f *testing.F) {
	for _, seed := range differSeeds() {
		f.Add(seed)
	}
	ways := newWays(f, false, time.Second)
	f.Fuzz(func(t *testing.T, text string) {
		if d := difference(ways, text); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	})
}
