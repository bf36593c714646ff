"""The Python half of multisite: one WSGI application, served over FastCGI.

The Go half writes this package to disk and runs the directory (__main__.py). It
needs the standard library of CPython 3.9 or later and nothing else, and imports
nothing of the application before load.py is asked to. How the two halves talk
is documented in the Go package worker/wsgi (doc.go).

A worker, in reading order:

  __main__.py       starts a worker with an interpreter of its own, or a project zygote
  config.py         the descriptors and the configuration that the supervisor passes
  load.py           prepares the process (sys.path, home) and loads the application
  bytecode.py       does not load bytecode that is older than its source
  installed.py      tells installed files from those of the project
  django_site.py    what a worker does for a Django site beyond serving it
  start_report.py   reports once whether the start succeeded
  server.py         accepts connections and serves requests until SIGTERM
  connection.py     one connection of the front door
  exchange.py       one FastCGI request and the way back for its response
  fastcgi.py        records: constants, packing, parameters
  handler.py        PEP 3333 for one request
  headers.py        rules for status and headers
  streams.py        stdout, stderr, wsgi.errors, wsgi.file_wrapper
  log.py            log lines, and tracebacks without this package's own frames
  descriptor.py     a descriptor that is closed once
  lifecycle.py      signals, and how the process exits
  manage.py         `multisite manage SITE ...`

Zygotes, which load once and fork workers (`multisite_wsgi zygote`):

  zygote.py         the project zygote and its commands
  site_config.py    the configuration of a site, as a zygote gets it
  control.py        the control socket: commands and answers
  fork.py           the fork itself, and the environment of the new process
  site_zygote.py    one site: load, warm up, check, fork on command
  forked_worker.py  a worker after the fork
  exit_work.py      whose exit handlers run where
  warmup.py         requests before the first fork
  time_limit.py     a limit for those that may be slow

Is a process fork-safe?

  disconnect.py     closes what Django and libraries have open
  closers.py        how connections of libraries are closed
  hazards.py        lists what makes a process not fork-safe
  native_threads.py finds out whether a fork ends the threads of C libraries
  origins.py        remembers where threads were started and sockets opened

What several sites share:

  finder.py         starts learners, and makes the plan from their results
  learner.py        finds out what a site imports, in a process of its own
  learned.py        caches that, or why there is no result
  recorder.py       watches imports in that process
  sharing_group.py  chooses the sites that have much in common
  sharing_plan.py   chooses the modules that all of these can share
  import_shared.py  imports them and checks that they did nothing but that

How memory stays shared after a fork:

  memory.py         the tricks and their order
  seal_heap.py      leaves no free block in shared pages
  relocate_code.py  moves the code that requests run to one place
  immortal.py       makes objects immortal, so that their reference counts are not written
  constants.py      lets code load its constants as immortal ones
  merge_pages.py    lets the kernel merge what has become equal again

load() and serve() share nothing but their arguments, so a process may load
once, fork, and serve in each child.
"""
