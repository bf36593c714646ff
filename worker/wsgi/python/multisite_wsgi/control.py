"""The control socket of a zygote: commands and answers, one JSON object each.

A message is a 4 byte big-endian length and that many bytes of JSON. File
descriptors come with the first byte of a message (SCM_RIGHTS). The commands are
listed in doc.go of the Go package worker/wsgi.
"""

import array
import json
import os
import socket
import struct

_LENGTH = struct.Struct(">I")
_MAX_FDS = 8


class Control:
    """The zygote's end of the socket. Only the supervisor has the other one."""

    def __init__(self, fd):
        os.set_inheritable(fd, False)
        self._sock = socket.socket(fileno=fd)

    def fileno(self):
        return self._sock.fileno()

    def close(self):
        self._sock.close()

    def receive(self):
        """Return (message, descriptors), or (None, []) when the supervisor has closed its end."""
        try:
            head, fds = self._receive_head()
            if not head:
                return None, []
            body = self._receive_exactly(_LENGTH.unpack(head)[0])
        except (ConnectionError, EOFError):
            return None, []
        return json.loads(body.decode()), fds

    def send(self, message):
        body = json.dumps(message).encode()
        try:
            self._sock.sendall(_LENGTH.pack(len(body)) + body)
        except ConnectionError:
            pass  # the next receive() returns None

    def _receive_head(self):
        space = socket.CMSG_SPACE(_MAX_FDS * array.array("i").itemsize)
        head, ancillary, _, _ = self._sock.recvmsg(_LENGTH.size, space, socket.MSG_CMSG_CLOEXEC)
        fds = array.array("i")
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(data[:len(data) - len(data) % fds.itemsize])
        if head:
            head += self._receive_exactly(_LENGTH.size - len(head))
        return head, list(fds)

    def _receive_exactly(self, size):
        parts = []
        while size:
            part = self._sock.recv(min(size, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
