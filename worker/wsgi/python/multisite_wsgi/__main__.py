"""Start one worker: `PYTHON .../multisite_wsgi`, descriptors as in config.py.

`PYTHON .../multisite_wsgi zygote` starts a project zygote instead, see zygote.py.
"""

import importlib.util
import os
import socket
import sys


def import_worker():
    """Import this directory as the package multisite_wsgi, and nothing by a bare name.

    Python puts a directory that it runs first on sys.path, where config.py or
    server.py of this package would shadow modules of the application.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.curdir) != here]
    spec = importlib.util.spec_from_file_location(
        "multisite_wsgi", os.path.join(here, "__init__.py"), submodule_search_locations=[here])
    package = importlib.util.module_from_spec(spec)
    sys.modules["multisite_wsgi"] = package
    spec.loader.exec_module(package)


def main():
    import_worker()
    if sys.argv[1:] == ["zygote"]:
        from multisite_wsgi import zygote

        zygote.main()
    if sys.argv[1:2] == ["manage"]:
        from multisite_wsgi import manage

        sys.exit(manage.main(sys.argv[2], sys.argv[3:]))
    from multisite_wsgi import config, lifecycle, load, report, server, status, streams

    conf = config.read()
    listener = socket.socket(fileno=config.LISTEN_FD)
    supervisor = status.Status()
    sys.argv = ["multisite"]
    streams.line_by_line()
    report.keep_stderr()
    lifecycle.dump_stacks_on_request()
    try:
        site = load.load(conf)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a settings file too
        supervisor.failed(error)
        lifecycle.leave(1, conf.thread_join_seconds)
    server.serve(site.application, conf, listener, lambda: supervisor.ready(site))
    lifecycle.leave(0, conf.thread_join_seconds)


if __name__ == "__main__":
    main()
