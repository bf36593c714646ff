// Package supervisor joins the parts of multisite: it reads what sites.toml says,
// starts and ends things in order, and carries words between packages that do not
// know one another.
//
// # Processes
//
//	multisite up                   front door, pools, control socket, journal
//	├─ python: project zygote      per interpreter, user and environment; leaves when its work is done
//	├─ python: site zygote         one per site and generation: settings loaded, application warm
//	├─ python: subdomain1/1 …      forked from it; FastCGI on a unix socket of its own
//	├─ multisite worker …          a site of the built-in Go apps; HTTP on its own socket
//	├─ path/to/program             anybody's Go program that calls worker.Serve
//	└─ subdomain1/service.NAME …   what a site runs beside its workers, always or by its cron entries
//
// The supervisor never imports application code. Everything else is its child,
// also what a zygote forked (it is the subreaper), and dies with it, however it
// dies (PR_SET_PDEATHSIG, set again after each change of parent). What a child had
// started itself is in its process group, which ends with it while we live. Where we
// were killed, the next start ends all that has our mark in its environment (left.go):
// not who got another one, or wrote over it as setproctitle does.
//
// # Who knows whom
//
//	cmd > supervisor > config, proxy, pool, task, watch, control,
//	                   journal, dashboard, systemd                        (these do not know each other)
//	                   cron                                               (schedules; config reads them)
//	                   status                                             (plain values; control, dashboard and cmd read them)
//	                 > worker/wsgi, worker/goapp, worker/fastcgi          (runtimes: what starts workers of one kind)
//	                 > worker/process, worker/unixsock, worker/account    (one process; one socket; who it runs as)
//	                   worker/wire                                        (what the front door's loop and runtimes pass on)
//	apps/**, worker/** never import supervisor/**
//
// A leaf declares the small interface that it needs: the front door a Backend, the
// pool a Launcher and a Worker, the control socket a Supervisor. This package has
// the types that fit them: site is a Backend, generation a Launcher.
// Two packages stand elsewhere than a first plan had them: worker/process, since
// the runtimes under worker start processes too, and apps/tomlfile, since the
// settings of Go sites are read as strictly as sites.toml. A test keeps the table.
//
// # The life of one request
//
// A simple request (GET or HEAD, no body, nothing odd) that a worker answers at once
// never leaves proxy.Loop: one thread waits for all clients and all workers (epoll),
// reads the request in one call, writes it to a worker in one, reads the answer in
// one and writes it to the client in one. Whatever is not that simple, fails, or
// takes longer than 50 ms goes on at the same point of this list, in a goroutine
// of net/http that gets the connection and what has been done. It gets that for one
// request, and no byte of the next:
//
//  1. The loop waits for the whole head, refuses what could be read in two ways, and
//     so knows where the request ends (proxy/framing.go). net/http reads the header.
//     site.Table finds the site: exact name, longest wildcard, longest mount; where
//     there is none: 421. What a client may not say is dropped.
//  2. The body is read to its end, into memory or a file without a name. Only now
//     is a worker needed.
//  3. pool.Claim takes the least busy worker, of those the one used last, or waits
//     in the site's queue. Check and count are one critical section.
//  4. worker/fastcgi writes the request in one write on a connection that the
//     worker's thread is waiting on; a Go worker gets HTTP the same way.
//  5. The answer is read as fast as it comes. One that is complete in the first
//     read frees the worker at once. A longer one is pumped into a spool by a
//     goroutine while this one writes to the client. The worker never waits for it.
//  6. A worker that died before its first byte: the request goes to another one,
//     once, if it is idempotent or nothing of it had been sent; else 502. It is another
//     one: the pool gives out no worker of which it is not known whether it lives. What
//     two workers died of is remembered, and risked on no second one for a while. One that
//     died later: the client's connection is cut, so that half an answer never
//     looks whole. One that overran request_timeout: 504, its stack is logged, it
//     is replaced now and ended. A Go worker learns it by the request's context, and
//     is asked after shutdown_timeout whether the request still runs.
//  7. Release gives the worker to the request that waits longest.
//
// # Requests ahead
//
// Where every worker of a site is busy, and its requests take less than a millisecond,
// the loop sends the next ones into a worker's socket behind the one that it has. The
// worker finds them there and goes on: nobody wakes it, nobody waits for it, and the
// front door reads several answers in one call. That halves the cost of a small request
// and takes a fifth from one of Django.
//
// None of them may be lost or done twice for that, nor wait behind a slow one. So each
// has a token in an eventfd that worker and front door share (worker/fastcgi/doc.go):
// the worker takes one before it begins such a request. A line that has not moved for 5
// ms, or whose first request is handed to net/http, breaks up: what the front door still
// finds tokens for was not begun, is passed over by the worker, and asks the pool again,
// before all who wait. When every processor has work (processors.go), a line is also
// better than one more worker that would take turns with the others. Those in line
// count in listen_backlog. Only the loop's requests go ahead, which may be repeated; Go
// workers take what they get at once anyway.
//
// # Generations
//
// All workers of a site that were launched alike are a generation, with a socket
// directory, a zygote and a copy of the site's settings of its own. Restart and
// reload build the next one beside the old: one new worker is tried, and if it is
// not ready nothing has happened; then new ones are added and old ones drained in
// turn (pool.Roll). A reload compares the files of the code, what the workers run
// with, and sites.toml; what did not change is not touched.
//
// Services are replaced when the last old worker has ended, so they too run old code
// until the new one is proved. Keys that would apply at once wait for that too: a reload
// that fails has changed nothing of its site (applyLive), and is told by status.
//
// The first worker of a generation goes ahead alone (scout): a site that hangs while it
// loads takes one place, not those of the others, for two seconds, and never one of
// those that are for generations that are proved.
//
// # Paths
//
// A path is resolved once and for a purpose, since a link on the way to it may lead to
// another release later, and the old one may be removed. sites.toml is remembered as it
// was named, and read anew through the link. The state directory is where it really was
// at the start (findStateDir); who does not find it there finds us by an abstract socket
// (control.ListenNearby), and what is removed of it is made again (keepDirs). Code
// is where its generation found it (sources): a worker that is replaced later runs what
// the others run. Our own working directory is /, which stays.
//
// # Who asks for a reload
//
// A person (multisite reload, SIGHUP), or the files themselves: reload_on and
// up --watch. The kernel's word (watch) only makes us look: what is reloaded is
// decided by comparing the files with those that the workers run. The service
// manager is told of each, of the start and of the end (systemd).
//
// # Upgrade
//
// multisite upgrade (or SIGUSR2) lets another program take our place in the same
// process (execve), in this order:
//
//  1. The other program is run as a child, `multisite takeover`. It reads sites.toml,
//     writes what it will need, and says which version of the handover it
//     understands (takeover.go). If anything is wrong nothing has happened.
//  2. halt waits, while all goes on, for what takes long: rolls, launches, requests.
//     Then the front door pauses: who connects or asks waits. If what runs has not
//     ended after 0.3 s the pause is given up and tried again later; only after
//     graceful_timeout is anything cut. Launches are given up, and no process is
//     started or reaped any more.
//  3. What must live is packed (process.Baggage): copies of all descriptors, without
//     FD_CLOEXEC for the exec alone, and a JSON in a file without a name that tells
//     what they are (handover.go). SIGTERM and the like wait, blocked; whether one
//     came before is the last question.
//  4. The new image takes it out (inherit.go): each process by its pid, as it is still
//     our child and nobody else has waited for it; the pipe of its output with the
//     half line that was read of it; zygotes with their control sockets, between two
//     commands; pools, services and cron entries with their counters; listeners, the
//     lock, and the clients' connections with what was read of their next requests,
//     never of one that a site has got. Connections to workers are simply made anew.
//     Whoever asked is answered by the new image, on the connection that the old one
//     accepted.
//
// A child gets its PDEATHSIG when the thread that started it ends, and execve ends
// all threads but the main one. So the main thread starts every process
// (process.ServeMain), and main locks it for that: the only init there is.
//
// What can not be taken over is replaced, as if it had died. Where sites.toml says
// other things by then the new image does as a start would: sites come and go, and
// workers that were launched with other settings are rolled. The
// control connection of a Go worker ends with the old image, since the state of its
// multiplexer cannot be handed over: the new image connects to the worker's control
// socket again. A worker whose supervisor kept no such socket is told to end by SIGTERM
// alone, and is replaced when a request overruns, as if it were stuck. Code of another version in workers and zygotes is not replaced:
// handoverVersion grows when a new supervisor could not drive it.
//
// # Memory
//
// worker/wsgi tells how forking keeps pages shared and what makes it safe. The
// zygote checks before every fork that it is alone (threads, sockets, files that
// are written, children, connections); where it is not, the site's workers load
// their code themselves, and status says why. A site that only its warm-up made so is
// loaded again without it, and threads of C libraries that a trial fork ends are none.
//
// # Many sites
//
// A site that sleeps is its settings, a pool and one goroutine that waits: no
// process, no descriptor, no buffer. Code that sites have in common is read once for
// all of them (codeLook), log files are open while there is something to write, and
// check tries sites that load the same once. What a site costs is under test
// (TestGrowth), how long a thousand of them take is measured by `bench sites`.
//
// # Room
//
// How many workers a site may have is bounded by what the machine has (capacity.go):
// memory, processes and threads, open files. Few start at a time, of a site (pool) and
// in all (places). No worker is launched into the last 64 processes and threads, which
// are for this program: the Go runtime ends a program that gets no thread. For the case
// that somebody else takes those, it has spare threads from its start on, and what an
// ordinary user's supervisor starts has a lower RLIMIT_NPROC than itself.
//
// # Users
//
// A supervisor that is root can give a site to a user: its zygotes, workers,
// services, cron entries and management commands are all that user's from their
// first instruction on, and inherit what they could not open themselves (listening
// socket, pipes). What runs there may be hostile, so root's rights are not lent to
// it: a process that a zygote names must be a child of ours and that user's
// (process.Adopt), the peer of a control socket too, and files that the site calls
// static are opened with the user's rights (account.Do). Sites of different users
// can not reach each other's files, sockets, memory or environment; those of one
// user are one to the kernel and can. Who may not use the control socket is told who
// may (control/access.go); a member of control_group may do all but choose the program
// of an upgrade, which would make root's rights his.
//
// # What a hostile process holds
//
// The code of a site with a user of its own may be hostile, and has one end of all that
// follows. None of it may hold up what serves others, nor cost more than what is its own.
//
//   - Tokens of requests ahead (eventfd). Its counter and its flags are shared: it can
//     clear O_NONBLOCK, empty it or fill it. So we read with RWF_NOWAIT alone and let the
//     kernel add (worker/fastcgi/adder.go). What it takes or makes is of its own requests.
//   - Connections for requests. Each side has its own flags, and what we send lies in its
//     buffer: a full one is an error at once. An answer has limits and a time. It can
//     make each wake of its sockets slow by thousands of waiters (RLIMIT_NOFILE,
//     tasks_limit and fs.epoll.max_user_watches bound them).
//   - Its listening socket. It can accept nothing: a connect fails at once when the
//     backlog is full, and a worker that does not answer is replaced. The socket's name
//     is in a directory that is ours alone.
//   - stdout, stderr, and what it says once at its start. Sockets, not pipes, whose lock
//     a writer can keep (process.Pipe). Lines are cut at 64 KB; one site's are read by a
//     goroutine of its own, and wait in a queue of its own for the disk (lines.go). Who
//     keeps an end open after the process has ended is waited for one second.
//   - Its configuration. A socket that is written to with a deadline, and read by it alone.
//   - The control socket of a zygote. Commands and answers have a deadline, an answer 16
//     MB; one that is late or malformed ends the zygote. The lock that is held meanwhile is
//     for its site's forks. A process that it names must be a child of ours and of its user.
//   - The control connection of a Go worker. Its peer must be of its user (SO_PEERCRED);
//     a call is bounded by its context, what it says by a rate (worker/control.go).
//   - Services, cron entries: no more than stdout and stderr.
//   - multisite manage runs in the terminal of who has called it, which does not control
//     the command of another user: it reads and writes there, but can not type what the
//     caller's shell would run (TIOCSTI).
//   - Not passed down at all: the lock, the control socket, journal and logs, listeners of
//     the front door, descriptors of systemd and its notify socket, what an upgrade packs.
//
// What hangs for all that is noticed: the watchdog asks the loop's thread itself.
//
// # State on disk
//
// .multisite beside sites.toml, or state_dir: multisite.pid (the lock is the truth, not the
// number), control.sock, run/SITE.GENERATION/ (sockets), logs/ (or log_dir; each file put
// aside at log_max_size), journal.db, python/ (the embedded worker, named by its
// contents), spool/ (files without names). Whatever a killed supervisor left there
// is in nobody's way. What is not ours alone is refused (statedir.go).
package supervisor
