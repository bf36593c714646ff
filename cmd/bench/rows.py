"""The WSGI application of the benchmark's rows. The path says what to answer."""

from functools import cache

# The byte at an offset of a body is the offset modulo PERIOD. It is a prime, so that blocks
# in a wrong order differ.
PERIOD = 251
CLIENT = "192.0.2.7"
BLOCK = bytes(range(PERIOD)) * (65536 // PERIOD + 2)


@cache
def body(size):
    return bytes(range(PERIOD)) * (size // PERIOD) + bytes(range(size % PERIOD))


def answer(start_response, whole):
    start_response(
        "200 OK",
        [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(whole)))],
    )
    return [whole]


def get(environ, start_response, size):
    return answer(start_response, body(int(size)))


def forwarded(environ, start_response, size):
    """Answers the client that a trusted proxy has named, and no other."""
    # A server on a unix socket behind nginx may know no address.
    client = environ.get("REMOTE_ADDR", "")
    if "." not in client:
        client = environ["HTTP_X_FORWARDED_FOR"]
    return answer(start_response, body(int(size)) if client.split(", ")[-1] == CLIENT else repr(client).encode())


def post(environ, start_response, _):
    """Reads the body and compares all of it."""
    left, offset, right = int(environ["CONTENT_LENGTH"]), 0, True
    while piece := environ["wsgi.input"].read(min(left - offset, 65536)):
        at = offset % PERIOD
        right = right and piece == BLOCK[at : at + len(piece)]
        offset += len(piece)
    return answer(start_response, b"%d bytes, %s\n" % (offset, b"right" if right else b"wrong"))


def chunks(environ, start_response, size):
    """Answers in three pieces, without their length."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    whole, third = body(int(size)), int(size) // 3
    yield whole[:third]
    yield whole[third : 2 * third]
    yield whole[2 * third :]


def pieces(environ, start_response, size):
    """Answers in pieces of 8 KB, without their length."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    whole = body(int(size))
    for at in range(0, len(whole), 8192):
        yield whole[at : at + 8192]


def application(environ, start_response):
    kind, size = environ["PATH_INFO"][1:].split("/")
    kinds = {"get": get, "forwarded": forwarded, "post": post, "chunks": chunks, "pieces": pieces}
    return kinds[kind](environ, start_response, size)
