"""The worker's own server (multisite_wsgi) with an application whose answers a test gives.

Argument: the directory of multisite_wsgi. Descriptors: 3 is the listening socket; to 4 the
URI of each request is written when it is begun; from 5 the answer to it is read. Each is a
line; the answer null makes the worker exit. An answer to a request with a body has the
digest of that (SHA-256) in X-Body. A header X-Pieces says in how many pieces the
application returns the body of its answer.
"""

import base64
import hashlib
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
    fields = [tuple(field) for field in answer["Fields"] or ()]
    sent = environ["wsgi.input"].read()
    if sent:
        fields.append(("X-Body", hashlib.sha256(sent).hexdigest()))
    start_response("%d OK" % answer["Status"], fields)
    body = base64.b64decode(answer["Body"] or "")
    pieces = int(dict(fields).get("X-Pieces", "1"))
    size = -(-len(body) // pieces) or 1
    return [body[start:start + size] for start in range(0, len(body) or 1, size)]


server.serve(application, types.SimpleNamespace(threads=1, mount="/", tricks=()), socket.socket(fileno=3), lambda: None)
