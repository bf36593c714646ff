// Package wsgi is the Python runtime: it starts WSGI workers and speaks FastCGI
// to them. The worker is pure Python (PEP 3333), embedded in this program and
// written to disk once (install.go); nothing has to be installed beside the
// application. The Python half is python/multisite_wsgi; its __init__.py lists
// the modules in reading order.
//
// # Processes
//
//	supervisor (this package)
//	├─ project zygote          one for all sites with the same interpreter, user and environment
//	├─ site zygote             forked from the project zygote; one per site and generation
//	└─ worker                  forked from the site zygote
//
// A zygote is a process that loads code and then only forks on command, so that
// its children share the memory of what it has loaded.
//
//   - The project zygote (project.go, zygote.py) imports the modules that all its
//     sites import and that do not depend on any site's settings. It forks one
//     site zygote per site and exits when no site needs it any more: its own
//     pages would be of no use.
//   - A site zygote (sitezygote.go, site_zygote.py) loads one site, answers the
//     warm-up requests and forks that site's workers.
//   - A worker (worker.go, forked_worker.py) serves requests on its own socket.
//
// Every fork is a double fork (fork.py): the process in the middle exits, so the
// kernel makes the new process a child of the supervisor, which is a subreaper.
// All of them set PR_SET_PDEATHSIG and so die with the supervisor.
//
// Not every site has a site zygote. A site of one worker is forked directly from
// the project zygote, if other sites share that, and else gets an interpreter of
// its own. So does every worker of a site with preload = false. A site that is not
// fork-safe has its workers forked from the project zygote while that exists, and
// started as interpreters later; each of them loads the site itself.
//
// # How a worker is forked
//
//	Runtime.Launch              launch.go         makes the worker's listening socket
//	 Runtime.launchForked       launch.go
//	  Runtime.getTemplate       template.go       the first launch makes the template:
//	   Runtime.makeTemplate     template.go
//	    Project.get             project.go        starts and prepares the project zygote
//	    Runtime.forkZygote      sitezygote.go     forks the site zygote, waits for its report
//	  Runtime.startFromTemplate fork.go
//	   Runtime.forkWorker       fork.go           makes the pipes for report and output
//	    childPipes.fork         fork.go           the command "fork", with three descriptors
//	     zygote.ask             zygote.go         writes the command, reads the answer (control.go)
//	      SiteZygote._fork      site_zygote.py    checks that it is fork-safe, then forks:
//	       fork_for_supervisor  fork.py           the double fork
//	       ForkedWorker.run     forked_worker.py  in the new process: serves (server.py)
//	     process.Adopt          worker/process    takes charge of the new process
//	  Runtime.await             launch.go         reads the start report, then probes the socket
//
// Without a zygote Runtime.spawn (launch.go) starts an interpreter instead.
//
// # Fork-safe
//
// A process is fork-safe when nothing in it would be shared or lost by a fork:
// no second thread, no child process, no interval timer, no open database
// connection, no event loop, no socket but a datagram socket, no pipe, no file
// open for writing (except to append), no shared memory that is mapped for
// writing. Each of these is a hazard. Before its first fork a site zygote closes
// what Django has a function for (disconnect.py), then looks for hazards
// (hazards.py); before each later fork it looks again. If there are any at first,
// it closes the idle connections of libraries that open them again when they are
// next used (closers.py), and looks again. A thread of a C library is a hazard
// unless a test fork has ended it (native_threads.py). A hazard names the line of
// the site's code that has opened it, where that is known (origins.py).
//
// A hazard that only appears during the warm-up costs the warm-up, not the
// sharing: the site zygote is forked again without the paths whose first request
// left it, and if that does not help, without any (skipwarmup.go). Any other hazard makes
// the site's workers load the code themselves, and status shows why; with
// preload = true the site does not start. The same happens when two zygotes in
// turn fork workers that do not become ready (countFailures).
//
// # Warm-up
//
// The site zygote requests each path of the key warmup, in process, up to 30
// times within half a second for all paths. What the requests import, compile
// and cache is then shared by all workers. A path that fails is a warning; it is
// an error with warmup_strict, and when the workers of the generation before
// have answered it (MustAnswer).
//
// # Learning
//
// Learning means to find out what a site imports. The project zygote forks a
// process, the finder (finder.py), which forks a learner for each site (learner.py).
// A learner loads the site, warms it up, and records for each module what it imports
// and what it reads (recorder.py). From the results the finder chooses the sites that
// have much in common (sharing_group.py) and makes the plan for them
// (sharing_plan.py): the modules that every one of them imports and none of which
// depends on one site. The other sites get a project of their own (Project.rest),
// where the same happens again. No site gets a module that it does not import itself.
//
// Results are kept in CodeDir/learned and are used as long as no file and no
// configuration of the site has changed (learned.py).
//
// A learner may use 20 s of processor time, may wait for 2 s without using any, and all
// learners of a project together have startup_timeout by the clock: a busy machine
// makes learning slow, but does not stop it. A site that exceeds a limit is left out
// and gets a project zygote of its own. The reason is shown by status and kept like a
// result: for as long as the code stays the same if it was the processor time,
// otherwise for a day. Sites wait for that before the time of their launch begins
// (AwaitShared), so startup_timeout is all theirs.
//
// # Control socket
//
// A zygote obeys on a unix stream socket, its descriptor 3 or the first one that
// it was given. A message is a 4 byte big-endian length and a JSON object. File
// descriptors travel with the first byte (SCM_RIGHTS). One command is under way
// at a time (zygote.mu). The end of the socket ends the zygote.
//
//	to        command                                      descriptors               answer
//	project   {"cmd":"prepare","sites":[CONFIG...],        none                      {"ready":true,"modules":N,"left_out":["SITE: WHY"...],
//	           "without":[MODULE...],                                                 "others":[SITE...],"unkept":["SITE: WHY"...],
//	           "deadline_seconds":S,                                                  "tricks":[...],"seconds":S}
//	           "processor_seconds":S}                                                or {"failed_import":MODULE,"error":WHY}
//	project   {"cmd":"site","config":CONFIG}               control, report, output   {"pid":N} or {"error":WHY}
//	project   {"cmd":"worker","config":CONFIG}             listener, report, output  {"pid":N} or {"error":WHY}
//	site      {"cmd":"fork","worker":"SITE/N"}             listener, report, output  {"pid":N}, {"unsafe":[HAZARD...]} or {"error":WHY}
//	both      {"cmd":"exit"}                               none                      none; a site zygote runs its exit handlers first
//
// CONFIG is the type zygoteConfig. Deadlines: prepare has twice
// startup_timeout, half of it for learning; a fork has startup_timeout, but no more
// than 20 s; exit has 3 s. A zygote that answers late
// or with something malformed is killed: command and answer would be out of
// step. An answer has at most 16 MB. What it says is not trusted: the process of
// an answer must be a child of ours and of the site's user (process.Adopt).
// After failed_import the zygote is killed and another one is started with that
// module in "without", eight times at most.
//
// The keys and commands must not change without handoverVersion (package
// supervisor): an upgrade hands running zygotes over to the new program.
//
// # Start report
//
// A worker or site zygote reports once how its start went, as one line of JSON on
// the report pipe, and closes it (start_report.py):
//
//	{"event":"ready","python":"3.11.2","django":"5.2","static":[...]}        and of a site zygote "warmup", "tricks", "ended_by_fork", "closed"
//	{"event":"failed","error":"NameError: ...","traceback":"..."}
//	{"event":"unsafe","reasons":[HAZARD...],"safe_when_loaded":true,
//	 "opened_by":{PATH:[HAZARD...]},...}                                      only of a site zygote
//
// A site zygote has startup_timeout for it, a worker has the context of Launch.
// One that is late is asked for its stack by SIGUSR1, so that the error says
// where it hangs (hang.go), and killed.
//
// # An interpreter of its own
//
// spawn passes everything as descriptors: 3 is the report pipe, 4 the listening
// socket, 5 a socket from which the worker reads its configuration (the type
// config) to the end. The environment is the site's, with nothing of the
// supervisor's.
package wsgi
