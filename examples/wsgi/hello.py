"""A WSGI application (PEP 3333) that answers every path."""

import os
from urllib.parse import parse_qs


def application(environ, start_response):
    name = parse_qs(environ["QUERY_STRING"]).get("name", ["you"])[0]
    if "multisite.warmup" not in environ:  # the requests before the first fork
        print("somebody said hello to", name, file=environ["wsgi.errors"])
    body = f"Hello, {name}, from process {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
