"""A module that calls its callable something else."""


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"never served as application\n"]
