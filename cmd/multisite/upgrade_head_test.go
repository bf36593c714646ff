package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestUpgrade_HalfARequest: half a request does not delay the upgrade and is not lost.
func TestUpgrade_HalfARequest(t *testing.T) {
	t.Parallel()
	r := up(t, pythonSites+"processes = 1\n"+subdomain1)
	half, piped := r.raw(), r.raw()
	fmt.Fprint(half, "GET /hello/ HT")
	fmt.Fprintf(piped, "GET /hello/ HTTP/1.1\r\nHost: %s\r\n\r\nGET /hello/ HT", host1)
	wantHello(t, piped)
	start := time.Now()
	r.upgrade()
	if took := time.Since(start); took > 8*time.Second { // before the head would time out
		t.Errorf("the upgrade took %v", took)
	}
	for _, conn := range []io.ReadWriter{half, piped} {
		fmt.Fprintf(conn, "TP/1.1\r\nHost: %s\r\n\r\n", host1)
		wantHello(t, conn)
	}
}

// wantHello reads an answer, after which nothing else may come.
func wantHello(t *testing.T, conn io.Reader) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		t.Errorf("status %d (%v)", resp.StatusCode, err)
	}
}
