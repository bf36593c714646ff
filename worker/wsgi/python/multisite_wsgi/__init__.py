"""The Python worker of multisite: one WSGI application served over FastCGI.

The Go side writes this package to disk and runs the directory (__main__.py).
It is pure standard library for CPython 3.9 and later, and it imports nothing
of the application before load.py is asked to.

  config.py      what the supervisor passed down
  load.py        process setup (sys.path, home) and the application callable
  django_site.py what the supervisor wants to know about a Django site
  fastcgi.py     records: constants, packing, parameters
  connection.py  one connection of the front door, one request at a time
  handler.py     PEP 3333 for one request
  headers.py     status and header rules
  streams.py     stdout, stderr, wsgi.errors, wsgi.file_wrapper
  report.py      tracebacks without our own frames, and lines that always arrive
  descriptor.py  one that is closed once
  server.py      accept, serve, stop
  lifecycle.py   signals, and how the process leaves
  status.py      what the supervisor is told: ready, failed

Zygotes load once and fork workers (`multisite_wsgi zygote`):

  zygote.py        the project zygote and its commands
  site_zygote.py   one site: load, warm up, clean, check, fork on command
  forked_worker.py a worker after the fork
  control.py       commands and answers
  offspring.py     fork for the supervisor, the surroundings of a site
  warmup.py        requests before the first fork
  clean.py         close what must not be shared
  hazards.py       what is still there, by name
  nativethreads.py what a fork ends
  threads.py       where threads were started
  inherited.py     atexit and finalisers
  learn.py         what a site does while it is imported
  learner.py       processes that find it out, and the cache
  plan.py          what several sites can share
  shared.py        import that, under guard
  memory.py        the tricks that keep memory shared: seal.py, relocate.py, immortal.py

load() and serve() share nothing but their arguments, so a process may load
once, fork, and serve in each child.
"""
