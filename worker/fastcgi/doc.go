// Package fastcgi is the front door's side of FastCGI 1.0 (responder role) over
// a worker's unix socket: it sends an http.Request and returns an http.Response.
//
// One connection carries one request at a time and is kept (FCGI_KEEP_CONN). A
// connection whose request did not end as the protocol says is closed, never
// used again: an answer can not reach the wrong request. The caller sends no
// more requests at once than the worker has threads.
//
// A small request is one write and a small answer one read: no goroutine is
// started and nothing is copied but into the connection's buffers. Only a body
// too large for the first write is sent by a goroutine beside the reading.
package fastcgi
