package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/multisite/multisite/supervisor/coding"
)

// mixScript answers as long and in the way as the query says (WAY.SIZE), with bytes that
// tell whose answer they are, and which part of it. It records each request that must not be
// begun twice.
const mixScript = `
import os
import time
import zlib

log = os.open(os.environ["BEGUN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def content(seed, size):
    return b"".join([(b"%b|%d|" % (seed, n)).ljust(512, b".") for n in range(size // 512 + 1)])[:size]

def pieces(data, size):
    for start in range(0, len(data), size):
        yield data[start:start + size]

def paused(data):
    yield data[:len(data) // 2]
    time.sleep(0.07)
    yield data[len(data) // 2:]

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        os.write(log, path.split("/")[1].encode() + b"\n")
    way, _, size = environ["QUERY_STRING"].partition(".")
    given = environ["wsgi.input"].read()
    seed = "%s|%s|%s|%d|" % (path[1:], environ["HTTP_HOST"], environ["REMOTE_ADDR"], len(given))
    body = content(seed.encode("latin-1") + b"%08x" % zlib.crc32(given), int(size))
    if way == "sleep":
        time.sleep(0.02)
    if way == "oversleep":
        time.sleep(0.08)
    if way == "raises":
        raise ValueError(way)
    if way == "echo":
        body += given
    headers = [("X-Path", path.split("/")[1]), ("Content-Type", "text/plain")]
    if way == "accel":
        start_response("200 OK", headers + [("X-Accel-Redirect", "/private/" + size)])
        return [b"not to be sent"]
    known = headers + [("Content-Length", str(len(body) + (way == "deficit") * 10))]
    if way in ("204", "304"):
        start_response(way + " Bodiless", headers)
        return [b"not to be sent"]
    if way in ("some", "pieces", "paused", "written"):
        write = start_response("200 OK", headers)
        if way == "written":
            write(body[:100])
            return [body[100:]]
        return paused(body) if way == "paused" else pieces(body, 1 + len(body) // 3 if way == "some" else 7000)
    start_response("200 OK", known)
    if way == "parts":
        return list(pieces(body, 3000))
    if way == "known":
        return pieces(body, 30000)
    if way == "file":
        file = os.fdopen(os.memfd_create("file"), "w+b")
        file.write(body)
        file.seek(0)
        return environ["wsgi.file_wrapper"](file)
    return [body + b"more" if way == "surplus" else body]
`

// mixClosed is the page of what a rule keeps closed.
const mixClosed = "closed"

// mixSizes are those at which a buffer or a record may end.
var mixSizes = []int{10, 100, 2000, 4096, 8192, 16384, 20000, 32768, 65528, 65536, 100000, 131056, 131072, 200000, 262144, 1 << 20}

// mixWays are those of requests that are not plain ones.
var mixWays = []string{"sleep", "oversleep", "204", "304", "some", "pieces", "paused", "written", "parts", "known",
	"file", "surplus", "deficit", "raises", "echo", "accel", "whole", "whole", "whole", "whole"}

// mixPaths follow the number of a request in its path, as they are sent.
var mixPaths = []string{"", "", "/caf%c3%a9", "/a%20b%2Fc%25", "/%7Euser/%e2%82%ac", "/a+b;c=d"}

// mixedRequest is a request and what its answer must be.
type mixedRequest struct {
	method, host, way string
	path              string // as it is sent
	number            string // first part of path, unless a file is asked for
	size              int    // of the answer
	body              string
	isChunked         bool   // the body is sent in chunks
	address           string // of the visitor, as the site gets it
	forwarded         bool   // a trusted proxy names that address
	isFile            bool   // a static file
	only              string // header that asks for less than all of the file
	accept            string // Accept-Encoding; "": there is none
	rule              string // of the site, that answers: "moved", "closed"; "": none does
	first, end        int    // the part of the file that it asks for
}

// newMixed returns request number n of a client at peer.
func newMixed(n int, plain bool, peer string) mixedRequest {
	q := mixedRequest{method: http.MethodGet, host: []string{"one", "one", "two"}[rand.IntN(3)] + ".example.com",
		way: "whole", number: fmt.Sprint(n), size: mixSizes[rand.IntN(8)], address: peer}
	if peer == mixProxy {
		q.forwarded, q.address = true, fmt.Sprintf("198.51.100.%d", n%250)
	}
	q.path = "/" + q.number
	q.accept = []string{"", "", "gzip", "zstd, gzip;q=0.5"}[rand.IntN(4)]
	if plain {
		return q
	}
	q.path += mixPaths[rand.IntN(len(mixPaths))]
	q.way, q.size = mixWays[rand.IntN(len(mixWays))], mixedSize()
	if q.way == "accel" {
		q.size = mixSizes[rand.IntN(len(mixSizes))]
	}
	switch rand.IntN(10) {
	case 0:
		q.method = http.MethodHead
	case 1, 2, 3:
		q.method, q.isChunked = http.MethodPost, rand.IntN(4) == 0
		q.body = strings.Repeat(q.number+"+", mixedSize()/(len(q.number)+1))
	case 4, 5:
		q.askForFile()
	case 6:
		q.rule = []string{"moved", "closed"}[rand.IntN(2)]
		q.path = "/" + q.rule + q.path
	}
	return q
}

// askForFile makes q a request for a static file, or for a part of it.
func (q *mixedRequest) askForFile() {
	q.method = []string{http.MethodGet, http.MethodGet, http.MethodGet, http.MethodHead}[rand.IntN(4)]
	q.isFile, q.size = true, mixSizes[rand.IntN(len(mixSizes))]
	q.path = fmt.Sprintf("/files/%d?%s", q.size, q.number)
	if q.method == http.MethodHead {
		return
	}
	q.first, q.end = rand.IntN(q.size), q.size
	switch rand.IntN(6) {
	case 0:
		q.only = fmt.Sprintf("Range: bytes=%d-", q.first)
	case 1:
		q.only = fmt.Sprintf("Range: bytes=-%d", q.size-q.first)
	case 2:
		q.end -= rand.IntN(q.size - q.first)
		q.only = fmt.Sprintf("Range: bytes=%d-%d", q.first, q.end-1)
	case 3:
		q.only = "If-None-Match: *"
	}
	if q.only != "" {
		q.accept = "" // or it is a part of what is compressed
	}
}

// mixedSize returns any size, of which small ones are the most and borders frequent.
func mixedSize() int {
	size := mixSizes[min(rand.IntN(len(mixSizes)), rand.IntN(len(mixSizes)+4))]
	switch rand.IntN(3) {
	case 0:
		return max(size-rand.IntN(size), 10)
	case 1:
		return max(size-400+rand.IntN(500), 10) // with its head, or that of a record, it is as long as the border
	}
	return size - 1 + rand.IntN(3)
}

// head returns the request without its body.
func (q *mixedRequest) head() string {
	target := q.path
	if !q.isFile {
		target += fmt.Sprintf("?%s.%d", q.way, q.size)
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", q.method, target, q.host)
	if q.forwarded {
		head += "X-Forwarded-For: " + q.address + "\r\n"
	}
	if q.accept != "" {
		head += "Accept-Encoding: " + q.accept + "\r\n"
	}
	switch {
	case q.only != "":
		head += q.only + "\r\n"
	case q.isChunked:
		head += "Transfer-Encoding: chunked\r\n"
	case q.method == http.MethodPost:
		head += fmt.Sprintf("Content-Length: %d\r\n", len(q.body))
	}
	return head + "\r\n"
}

// writeTo appends the whole request to b.
func (q *mixedRequest) writeTo(b *bytes.Buffer) {
	b.WriteString(q.head())
	if !q.isChunked {
		b.WriteString(q.body)
		return
	}
	for rest, n := q.body, 1; rest != ""; n = n*3%10007 + 1 {
		part := rest[:min(n, len(rest))]
		fmt.Fprintf(b, "%x\r\n%s\r\n", len(part), part)
		rest = rest[len(part):]
	}
	b.WriteString("0\r\n\r\n")
}

// mixedContent is content of mixScript. The static files have it, too.
func mixedContent(seed string, size int) []byte {
	b := make([]byte, 0, size+512)
	for n := 0; len(b) < size; n++ {
		block := fmt.Appendf(nil, "%s|%d|", seed, n)
		b = append(b, block...)
		for range 512 - len(block) {
			b = append(b, '.')
		}
	}
	return b[:size]
}

// want returns the status and the body that a GET or POST gets.
func (q *mixedRequest) want() (status int, body []byte) {
	switch {
	case q.rule == "moved":
		return http.StatusPermanentRedirect, nil
	case q.rule == "closed":
		return http.StatusForbidden, []byte(mixClosed)
	case strings.HasPrefix(q.only, "If-"):
		return http.StatusNotModified, nil
	case q.only != "":
		return http.StatusPartialContent, mixedContent(strconv.Itoa(q.size), q.size)[q.first:q.end]
	case q.isFile, q.way == "accel":
		return http.StatusOK, mixedContent(strconv.Itoa(q.size), q.size)
	case q.way == "raises":
		return http.StatusInternalServerError, []byte("Internal Server Error\n")
	case q.way == "204" || q.way == "304":
		status, _ := strconv.Atoi(q.way)
		return status, nil
	}
	path, _ := url.PathUnescape(q.path[1:])
	body = mixedContent(fmt.Sprintf("%s|%s|%s|%d|%08x", path, q.host, q.address, len(q.body), crc32.ChecksumIEEE([]byte(q.body))), q.size)
	if q.way == "echo" {
		body = append(body, q.body...)
	}
	return http.StatusOK, body
}

// differs compares an answer with the one that q must get; "": they are the same.
func (q *mixedRequest) differs(resp *http.Response, body []byte) string {
	status, want := q.want()
	code := resp.Header.Get("Content-Encoding")
	body, err := decoded(code, body)
	length := int64(len(want))
	if q.way == "deficit" && !q.isFile && q.rule == "" {
		length += 10
	}
	switch number := resp.Header.Get("X-Path"); {
	case err != nil && q.method != http.MethodHead, code != "" && (!strings.Contains(q.accept, code) || len(want) < coding.MinSize && (q.isFile || q.way == "whole")):
		return fmt.Sprintf("%s for %q: %v", code, q.accept, err)
	case resp.Header.Get("X-Rule") != "kept":
		return "no header by a rule"
	case q.rule == "moved" && resp.Header.Get("Location") != fmt.Sprintf("%s?%s.%d", strings.TrimPrefix(q.path, "/moved"), q.way, q.size):
		return "a redirect to " + resp.Header.Get("Location")
	case resp.StatusCode != status:
		return fmt.Sprintf("status %d, want %d", resp.StatusCode, status)
	case !q.isFile && q.rule == "" && number != q.number && q.way != "raises":
		return "the answer to " + number
	case code == "" && resp.ContentLength >= 0 && status/100 == 2 && status != http.StatusNoContent && resp.ContentLength != length:
		return fmt.Sprintf("Content-Length %d, want %d", resp.ContentLength, length)
	case q.method == http.MethodHead && len(body) > 0:
		return "a body"
	case q.method != http.MethodHead && !bytes.Equal(body, want):
		return firstDifference(body, want)
	}
	return ""
}

// decoded returns a body without its content coding.
func decoded(code string, body []byte) ([]byte, error) {
	switch code {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return body, nil
}

func firstDifference(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d bytes, want %d; from byte %d on %.80q, want %.80q", len(got), len(want), i, got[i:], want[i:])
		}
	}
	return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
}

// mustBeCut reports whether the answer promises more than the site gives.
func (q *mixedRequest) mustBeCut() bool {
	return q.rule == "" && q.way == "deficit" && !q.isFile && q.method != http.MethodHead
}
