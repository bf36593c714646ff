"""The worker's own server (multisite_wsgi) with an application that a test answers for.

Arguments: the directory of multisite_wsgi. Descriptors: 3 listens, 4 takes the URI of each
request that is begun, 5 has the answer to it, each a line; null: the worker is to die.
"""

import base64
import json
import os
import socket
import sys
import types

sys.path.insert(0, sys.argv[1])

from multisite_wsgi import server  # noqa: E402

begun = open(4, "w")
answers = open(5)


def application(environ, start_response):
    print(environ["REQUEST_URI"], file=begun, flush=True)
    answer = json.loads(answers.readline())
    if answer is None:
        os._exit(1)
    environ["wsgi.input"].read()
    start_response("%d OK" % answer["Status"], [tuple(field) for field in answer["Fields"] or ()])
    return [base64.b64decode(answer["Body"] or "")]


server.serve(application, types.SimpleNamespace(threads=1, mount="/"), socket.socket(fileno=3), lambda: None)
