package proxy

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/tunnel"
	"github.com/multisite/multisite/worker/wire"
)

// wantedProtocol returns the protocol to which the client of a request wants to switch; ""
// if there is none, or none that is passed on. Only a request of HTTP/1.1 without a body can
// switch. HTTP in another form is not passed on: its requests would bypass the front door.
func wantedProtocol(r *http.Request) string {
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.ContentLength != 0 || !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade") {
		return ""
	}
	wanted := r.Header.Get("Upgrade")
	if len(r.Header["Upgrade"]) != 1 || !httpguts.ValidHeaderFieldName(strings.Replace(wanted, "/", "", 1)) {
		return "" // not one name, with or without a version
	}
	name, _, _ := strings.Cut(strings.ToLower(wanted), "/")
	switch name {
	case "http", "h2c", "h2", "h3", "tls":
		return ""
	}
	return wanted
}

// asksForTunnel reports whether the answer may be 101. To a worker that does not speak HTTP,
// the request is an ordinary one.
func (e *exchange) asksForTunnel() bool {
	if e.site.MaxTunnels == 0 {
		e.upgrade = ""
	}
	return e.upgrade != ""
}

// leaveTunnels gives back the place of a request that has not become a tunnel.
func (e *exchange) leaveTunnels() {
	if !e.tunnel {
		e.site.Tunnels.Leave(nil)
	}
}

var errSwitched = errors.New("status 101 for a protocol that was not asked for")

// checkSwitch returns an error for an answer 101 that nobody asked for.
func (e *exchange) checkSwitch(resp *http.Response) error {
	_, ok := resp.Body.(*wire.Switched)
	if ok && e.upgrade != "" && strings.EqualFold(resp.Header.Get("Upgrade"), e.upgrade) {
		return nil
	}
	_ = resp.Body.Close() // the worker has failed either way
	return errSwitched
}

// switchProtocols answers 101, and joins the client with the worker. The claim is released:
// the tunnel only holds the worker.
func (e *exchange) switchProtocols(claim site.Claim, resp *http.Response) {
	defer claim.Release() // not before the tunnel is known: an upgrade waits for claims
	worker := resp.Body.(*wire.Switched)
	head := e.switchHead(resp)
	client, read, err := e.takeClient()
	if err != nil {
		worker.Close()
		e.clientGone()
	}
	e.status, e.tunnel = http.StatusSwitchingProtocols, true
	entry := e.entry(time.Since(e.start))
	e.site.Counted(&entry)
	o := tunnel.Options{
		Client: client, Worker: worker, Site: e.site, Entry: entry, PID: claim.PID(), Admission: e.admission.Take(), Hold: claim.Hold,
		Up:   tunnel.State{Pending: read},
		Down: tunnel.State{Pending: append(head, worker.Unread...), Passed: -int64(len(head))}, // which does not count
	}
	if c, ok := client.(*detachedConn); ok {
		o.Client, o.Bare = c.Socket, c.TLS() == nil
	}
	e.proxy.tunnels.Start(o)
}

// switchHead returns the head of the answer.
func (e *exchange) switchHead(resp *http.Response) []byte {
	h := e.takeHeader(resp)
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{e.upgrade}
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(&b) // a Builder takes all
	return []byte(b.String() + "\r\n")
}

// takeClient takes the connection from net/http, with what the client has sent behind its
// request.
func (e *exchange) takeClient() (client tunnel.Stream, read []byte, err error) {
	conn, rw, err := http.NewResponseController(e.w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	client, ok := conn.(tunnel.Stream)
	if !ok {
		conn.Close()
		return nil, nil, errors.ErrUnsupported
	}
	if c, ok := conn.(*detachedConn); ok {
		return client, c.next, nil
	}
	read, _ = rw.Reader.Peek(rw.Reader.Buffered()) // it is there
	return client, read, nil
}
