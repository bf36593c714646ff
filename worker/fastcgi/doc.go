// Package fastcgi is the front door's side of FastCGI 1.0 (responder role) over a
// worker's unix socket: it sends an http.Request and returns an http.Response.
//
// Connections are kept open (FCGI_KEEP_CONN). A Client has at most as many as its worker
// has threads, and its caller sends no more requests at once, followers aside (see below).
// A connection whose request did not end as the protocol says is closed and never used
// again, so that an answer cannot reach the wrong request.
//
// A small request is one write and a small answer is one read: no goroutine is started,
// and nothing is copied except into the connection's buffers. Only a body that is too
// large for the first write is sent by a second goroutine.
//
// # Lines and followers
//
// Our own worker (multisite_wsgi/connection.py) accepts requests while it runs another:
// they wait in its socket, and it answers all of them in the order in which they were
// sent. The requests on one connection that nobody waits for are a line: the head, which
// the worker runs, and its followers. The front door can recall a follower that the worker
// has not begun. This is the protocol of both sides, which are tested with each other
// (worker_test.go). It adds to FastCGI:
//
//   - Greeting. The first record on a connection is FCGI_GET_VALUES with the name
//     MULTISITE_AHEAD and an empty value. An eventfd, which holds the tokens, comes with
//     its first byte (SCM_RIGHTS). A worker that uses the tokens answers
//     FCGI_GET_VALUES_RESULT with MULTISITE_AHEAD=1. After any other answer no follower is
//     sent on this connection.
//   - Ids. Each request has the id of the one before plus one, from 1 to 255 and then from
//     1 again. A line has at most maxLine requests, so that no id is in use twice.
//   - Flags of BEGIN_REQUEST. 0x01 (FCGI_KEEP_CONN) is a head: the worker begins it when
//     it reads it. 0x81 is a follower, which has a token: the front door adds one to the
//     eventfd before it writes the request. The worker drops the body of a follower that it
//     skips.
//   - Tokens. The worker takes a token before it begins a follower. If there is none, the
//     front door has taken it: the worker skips the request. It does not run it, and
//     reports that by END_REQUEST with protocol status 2 (FCGI_OVERLOADED), the skip record.
//   - Recall. The front door recalls the last follower by taking a token, then the one
//     before, and so on. Tokens have no names; this works because the worker begins
//     followers from the front of the line and the front door recalls them from its end.
//     If there is no token, the worker has begun the last follower.
//
// A connection is in one of these states, which say what may arrive and who reads it:
//
//	idle      No request. Nothing may arrive but skip records. Nobody reads.
//	line      A head and its followers. Answers arrive in order; Receive reads them when
//	          the watcher reports something. No follower is sent while a skip record is
//	          outstanding.
//	waited    One request, that a goroutine waits for: its followers were recalled. Their
//	          skip records arrive after its answer and are no part of it. Await, RoundTrip
//	          and Body read.
//	memory    No connection: the bytes of one answer, which is complete but not simple, or
//	          incomplete although the worker has begun the next request. Await reads it.
//	noReuse   A line that gets no further request. The connection is closed at its end.
//
// All of them read with one parser. It knows which requests were recalled, and drops their
// skip records whoever reads the connection next.
package fastcgi
