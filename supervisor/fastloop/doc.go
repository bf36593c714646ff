// Package fastloop answers simple requests on one thread that waits for all clients and
// all workers at once (epoll), as nginx does: without a goroutine, a timer and a buffer
// for each connection, and with one system call to read and one to write on either side.
// That is a third of the work that net/http has with a request.
//
// The loop reads the heads of all requests, and refuses malformed ones. It answers only a
// simple request to a site with a FastBackend, if a worker answers it at once and
// completely. A simple request has no body, or one of a known and small length that comes
// within a second. What the client does not take at once of the answer waits in a block of
// memory (output), or goes to a goroutine where it is more. Everything else is detached:
// net/http gets the connection for that one request, and gives it back.
//
// Static files are sent by the loop, too, in turns: what is in memory by the kernel, without
// copies; what is on the disk is read by a goroutine. No memory is held for what a client
// does not take. Several ranges, and the page that a file is not there, are net/http's.
//
// # Loop and workers
//
//	Enqueue          -> Ticket. If it is not resolved, notify wakes the loop when it is.
//	Ticket.Wait      -> Direct, at once.
//	Direct.Send      -> Written: the loop watches the worker's descriptor.
//	                    NoFollower: Ticket.Requeue. AwaitOnly: detached.
//	Direct.Receive   -> an answer, or nothing yet. An error: detached.
//	Direct.Release   before the answer is written: a slow client holds no worker.
//
// The requests that were sent on one connection are a line: the head, which the worker
// runs, and its followers. Answers come in the order of the line. Recall undoes the last
// Send of a line, unless the worker has begun it.
//
// # Loop and net/http
//
//	Options.Detach   gives net/http one request: the socket, the head, the end of the
//	                 body, what was read after the head, and what the loop has done
//	                 (Pending). net/http reads no byte of the next request. It gets a
//	                 body as if the loop had not read it.
//	Loop.Reattach    gives the connection back, with what was read of the next request.
//	Loop.Linger      gives it back to be closed after the last answer.
//
// # Invariants
//
// View.Check asserts those that can be seen from the state of a loop; the tests of the
// front door call it.
//
//   - A connection has one owner: the loop's thread (it is in clients or lingering), or
//     another goroutine (it is in ConnSet).
//   - A client is in busy if and only if it has a request: site is not nil.
//   - A client is in a line if and only if its request was written and not answered.
//     heads has the first of each line, by the worker's descriptor.
//   - Only the head of a line without followers is detached, so that its worker's
//     connection can be waited on. Its followers are recalled first.
//   - What waits in an output belongs to the answer under way, whose worker is free. It is
//     recorded when the client has taken all of it, or the connection ends.
//   - A client that waits for a disk or has a file is not in a line. It is in sending if and
//     only if its file is queued for the next turn.
//   - followers is the number of clients in lines that are not heads.
//   - While paused no request is read, so that busy only shrinks.
//   - The loop's thread never waits for anything but epoll.
//
// Any goroutine may call post, do, notify, Watch and the exported methods. All else
// belongs to the loop's thread.
package fastloop
