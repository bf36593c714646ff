"""A site of many small applications, one per path."""

import textwrap

from process import WorkerCase

# The path picks the application: /name runs the function of that name.
ROUTER = """
    import sys

    def application(environ, start_response):
        return globals()[environ["PATH_INFO"].split("/")[1]](environ, start_response)

    def ok(start_response, *headers):
        return start_response("200 OK", [("Content-Type", "text/plain")] + list(headers))
"""


class RoutedCase(WorkerCase):
    def serve(self, source, **config):
        return super().serve(textwrap.dedent(ROUTER) + textwrap.dedent(source), **config)

    def answer(self, worker, path, **more):
        with worker.front() as front:
            return front.request(path=path, **more)
