"""Redis in a few lines: a command is a list of words, the answer a line, a number, a text or a list."""

import os
import socket


def command(*words):
    """Sends one command on a connection of its own; `None` stands for nothing."""
    with socket.create_connection((os.environ["REDIS"], 6379)) as connection:
        parts = [str(word).encode() for word in words]
        sent = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        connection.sendall(b"*%d\r\n%s" % (len(parts), sent))
        with connection.makefile("rb") as answer:
            return read(answer)


def read(answer):
    line = answer.readline().rstrip(b"\r\n").decode()
    kind, rest = line[:1], line[1:]
    if kind == "+":
        return rest
    if kind == ":":
        return int(rest)
    if kind == "$":
        return None if rest == "-1" else answer.read(int(rest) + 2)[:-2].decode()
    if kind == "*":
        return None if rest == "-1" else [read(answer) for _ in range(int(rest))]
    raise ConnectionError(rest or "the connection was closed")
