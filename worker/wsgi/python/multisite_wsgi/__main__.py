"""Start one worker: `PYTHON .../multisite_wsgi`, descriptors as in config.py.

`PYTHON .../multisite_wsgi zygote` starts a project zygote instead (zygote.py),
`PYTHON .../multisite_wsgi manage ...` runs a management command (manage.py).
"""

import json
import os
import socket
import struct
import sys

OLDEST = (3, 9)
STATUS_FD = 3  # the report pipe of a worker, the control socket of a zygote


def refuse():
    """Report in the words of each kind of process that this Python is too old; also Python 2.7 runs this."""
    problem = "Python %d.%d is too old: %d.%d or later is needed (python_home)" % (tuple(sys.version_info[:2]) + OLDEST)
    if sys.argv[1:2] == ["manage"]:
        sys.exit("multisite: error: " + problem)
    message = json.dumps({"event": "failed", "error": problem}).encode("ascii") + b"\n"
    os.write(STATUS_FD, struct.pack(">I", len(message)) + message if sys.argv[1:] == ["zygote"] else message)
    sys.exit(1)


def import_worker():
    """Import this directory as the package multisite_wsgi.

    Python puts a directory that it runs first on sys.path. There config.py or
    server.py of this package would hide modules of the application with that name.
    """
    import importlib.util

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    spec = importlib.util.spec_from_file_location(
        "multisite_wsgi", os.path.join(here, "__init__.py"), submodule_search_locations=[here])
    package = importlib.util.module_from_spec(spec)
    sys.modules["multisite_wsgi"] = package
    spec.loader.exec_module(package)


def main():
    if sys.version_info[:2] < OLDEST:
        refuse()
    import_worker()
    if sys.argv[1:] == ["zygote"]:
        from multisite_wsgi import zygote

        zygote.main()
    if sys.argv[1:2] == ["manage"]:
        from multisite_wsgi import manage

        sys.exit(manage.main(sys.argv[2], sys.argv[3:]))
    run_worker()


def run_worker():
    from multisite_wsgi import config, lifecycle, load, log, server, start_report, streams

    conf = config.read()
    listener = socket.socket(fileno=config.LISTEN_FD)
    report = start_report.StartReport()
    sys.argv = ["multisite"]
    streams.line_by_line()
    log.keep_stderr()
    lifecycle.dump_stacks_on_request()
    try:
        site = load.load(conf)
    except BaseException as error:  # also SystemExit and KeyboardInterrupt, raised by a settings file
        report.failed(error)
        lifecycle.exit_process(1, conf.thread_join_seconds)
    server.serve(site.application, conf, listener, lambda: report.ready(site))
    lifecycle.exit_process(0, conf.thread_join_seconds)


if __name__ == "__main__":
    main()
