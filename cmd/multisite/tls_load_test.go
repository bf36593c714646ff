package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTLS_SwapsUnderLoad: certificates are swapped while visitors come, in the long form a hundred times, over
// HTTP/1.1 and HTTP/2 and with new connections all the time. None of their requests fails.
func TestTLS_SwapsUnderLoad(t *testing.T) {
	t.Parallel()
	r, ca := upTLS(t)
	addr := r.status().Supervisor.ListenTLS[0]
	ctx, stop := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	var answered, failed atomic.Int64
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		for _, keep := range []bool{true, false} {
			client := r.secureClient(ca.conf(host1, protocols...))
			client.Transport.(*http.Transport).DisableKeepAlives = !keep
			visitors.Go(func() {
				for ctx.Err() == nil {
					if err := secureVisit(client, addr); err != nil {
						failed.Add(1)
						t.Errorf("%v, connections kept: %v: %v", protocols, keep, err)
						return
					}
					answered.Add(1)
				}
			})
		}
	}
	shown := func() *x509.Certificate {
		conn, err := tls.Dial("tcp", addr, ca.conf(host1))
		if err != nil {
			t.Error(err)
			return nil
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0]
	}
	swaps, before := 20, answered.Load()
	if longForm() {
		swaps = 100
	}
	for range swaps {
		now := ca.issue(r.dir, "one", host1)
		eventually(t, "the new certificate to be shown", func() bool {
			cert := shown()
			return t.Failed() || cert != nil && cert.Equal(now)
		})
		eventually(t, "more visitors", func() bool { return t.Failed() || answered.Load() > before+4 })
		before = answered.Load()
	}
	stop()
	visitors.Wait()
	t.Logf("%d requests, %d failed", answered.Load(), failed.Load())
}

// secureVisit sends a request to the first site, and returns an error unless it is answered
// with 200.
func secureVisit(client *http.Client, addr string) error {
	req, err := http.NewRequest(http.MethodGet, "https://"+addr+"/probe/headers/", nil)
	if err != nil {
		return err
	}
	req.Host = host1
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
