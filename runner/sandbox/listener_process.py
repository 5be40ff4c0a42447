"""Listens inside the network namespace of a process, and hands the socket back.

A program of its own, since only a process with a single thread may enter a user namespace; it
runs before the command does, outside of the command's process namespace. Arguments: the process,
the descriptor of a UNIX socket to answer on, the port.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import sys

_NS_GET_USERNS = 0xB701
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_BACKLOG = 128
_IP_FREEBIND = 15  # of <linux/in.h>; the socket module does not have it


def _enter(namespace: int, kind: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _listen(pid: int, port: int) -> socket.socket:
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    _enter(fcntl.ioctl(network, _NS_GET_USERNS), _CLONE_NEWUSER)
    _enter(network, _CLONE_NEWNET)
    listener = socket.socket()
    # The loopback device may not be up yet.
    listener.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(_BACKLOG)
    return listener


def main(arguments: list[str]) -> None:
    pid, answer, port = map(int, arguments)
    with socket.socket(fileno=answer) as back, _listen(pid, port) as listener:
        socket.send_fds(back, [b"."], [listener.fileno()])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))
