// Package fastloop answers simple requests on one thread that waits for all clients and
// all workers at once (epoll), as nginx does: without a goroutine, a timer and a buffer
// for each connection, and with one system call to read and one to write on either side.
// That is a third of the work that net/http has with a request.
//
// The loop reads the heads of all requests, and refuses malformed ones. It answers only a
// simple request to a site with a FastBackend, if a worker begins to answer at once. A
// simple request has no body, or one of a known and small length that comes within a
// second. Everything else is detached: net/http gets the connection for that one request,
// and gives it back.
//
// # Answers
//
// An answer is passed on in parts, as it comes, whatever its size. What the client does not
// take at once waits in a block of memory (output). Meanwhile nothing more is read of the
// worker. Goroutines take over in the middle of an answer (handOver), if the worker pauses,
// if the client does not drain its output within some milliseconds, or if it does not fit
// there: one reads the rest of the answer into a spool, so that the worker is free soon, and
// one writes to the client. An answer that breaks off or has not the length that it has
// announced is cut: no client takes a part for the whole.
//
// Static files are sent by the loop, too, in turns: what is in memory by the kernel, without
// copies; what is on the disk is read by a goroutine. No memory is held for what a client
// does not take. Several ranges, and the page that a file is not there, are net/http's.
//
// The thread compresses nothing. Of an answer that is here a goroutine does, and the loop
// sends it (encodeWhole); of one that still comes, the goroutines that carry on with it do.
//
// # Loop and workers
//
//	Enqueue          -> Ticket. If it is not resolved, notify wakes the loop when it is.
//	Ticket.Wait      -> Direct, at once.
//	Direct.Send      -> Written: the loop watches the worker's descriptor.
//	                    NoFollower: Ticket.Requeue. AwaitOnly: detached.
//	Direct.Receive   -> a part of the answer, or nothing yet. An error before the first
//	                    part: detached. Later: handed over, or cut.
//	Direct.Release   when the last part is read, before it is written.
//	Direct.Rest      reads, for a goroutine, what comes after the last part.
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
// # TLS
//
// A handshake runs in a goroutine (handshake), which has nothing to do before the client has
// sent something. Then the connection is the loop's, or net/http's if the client has chosen
// HTTP/2. The loop lets crypto/tls read the socket without waiting, and writes its records
// itself: a request takes the same system calls as one without TLS. What was encrypted and
// the client does not take waits in records, and is a part of what waits of an answer. A
// goroutine that gets the connection gets its TLS, too (secure.lend, keep). Files are read and
// encrypted.
//
// # Invariants
//
// View.Check asserts those that can be seen from the state of a loop; the tests of the
// front door call it.
//
//   - A connection has one owner: the loop's thread (it is in clients or lingering), or
//     another goroutine (it is in ConnSet).
//   - A client is in busy if and only if it has a request: site is not nil.
//   - A client is in a line if and only if its request was written, and its answer was not
//     read to the end. heads has the first of each line, by the worker's descriptor.
//   - In a line, only the head may have begun its answer.
//   - Only the head of a line without followers is detached or handed over, so that its
//     worker's connection can be waited on. Its followers are recalled first. If the worker
//     has begun one, all of the head's answer is in the socket, and is read at once.
//   - What waits in an output belongs to the answer under way. That is recorded when the
//     client has taken all of it, or the connection ends.
//   - handedOver has the clients of which goroutines have the answer, until the worker's
//     end or theirs: the loop still notices when they leave.
//   - A client that has a file, or waits for a disk or for its answer to be compressed, is
//     not in a line. It is in sending if and only if its file is queued for the next turn.
//   - followers is the number of clients in lines that are not heads.
//   - While paused no request is read, so that busy only shrinks.
//   - Of the requests that a client has sent ahead, one is begun in a turn. Nothing more is
//     read of a client while such a request is buffered.
//   - The loop's thread never waits for anything but epoll.
//
// Any goroutine may call post, do, notify, Watch and the exported methods. All else
// belongs to the loop's thread.
package fastloop
