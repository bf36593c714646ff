// Package fastcgi is the front door's side of FastCGI 1.0 (responder role) over
// a worker's unix socket: it sends an http.Request and returns an http.Response.
//
// A connection is kept (FCGI_KEEP_CONN), and there are never more than the worker has
// threads. One whose request did not end as the protocol says is closed, never used
// again: an answer can not reach the wrong request. The caller sends no more requests at
// once than the worker has threads, but for those that it sends ahead.
//
// A small request is one write and a small answer one read: no goroutine is
// started and nothing is copied but into the connection's buffers. Only a body
// too large for the first write is sent by a goroutine beside the reading.
//
// # Requests ahead
//
// Our own worker (multisite_wsgi/connection.py) finds its next requests in the socket,
// behind the one that it is at, and answers all in the order in which they were sent. This
// page is the protocol of both sides, which are tested with each other (worker_test.go).
// What it adds to FastCGI:
//
//   - Greeting. The first record on a connection is FCGI_GET_VALUES with the name
//     MULTISITE_AHEAD and no value; an eventfd, the tokens, comes with its first byte
//     (SCM_RIGHTS). A worker that has taken them answers FCGI_GET_VALUES_RESULT with
//     MULTISITE_AHEAD=1. Any other answer: no request goes ahead on this connection.
//   - Ids. Each request has the id of the one before plus one, from 1 to 255 and round
//     again. Far fewer are on their way (mostInLine), so none is in use twice.
//   - Flags of BEGIN_REQUEST. 0x01 (FCGI_KEEP_CONN): the worker begins it when it comes to
//     it. 0x81: it was sent ahead, and has a token. The front door adds one to the eventfd
//     before it writes the request, and only a request without a body goes ahead.
//   - Tokens. Before the worker begins a request with 0x81 it takes a token. Where there
//     is none the front door has taken it, and the worker passes over the request: it does
//     not run it, and says END_REQUEST with protocol status 2 (FCGI_OVERLOADED).
//   - Taking back. The front door takes back the last request sent, with a token, then the
//     one before. Tokens have no names: who takes one back first has the last request that
//     was not begun, since the worker begins them from the front. No token: it is begun.
//
// What may be on a connection, and who reads it:
//
//	idle      nothing, or the word of what is to be passed over (skip). Nobody reads.
//	line      requests that nobody waits for: the first without, the others with a token.
//	          Their answers come in order; Receive reads them as events tell. Nothing is
//	          sent ahead while the worker is yet to pass over something.
//	waited    one request. What was behind it was taken back: its word comes after the
//	          answer, and is no part of it. Await, RoundTrip and Body read.
//	aside     no connection but memory: a whole answer that is not simple, or what there is
//	          of one that a worker owes while it has begun the next. Await reads it.
//	spoilt    a line that gets no request more and whose connection ends with it.
//
// All of them read with one parser, which knows what was taken back: whoever has a
// connection next reads past it.
package fastcgi
