"""Small stand-ins for our own processes: `programs.py NAME FD`, NAME being seed, worker-N or web-N.

A web answers every request with 200 and its process id. What else they do, the environment says:
FAILING names those that end at once, STUBBORN those that ignore SIGTERM.
"""

import os
import signal
import socket
import sys
from pathlib import Path


def command(name: str, fd: int) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", str(Path(__file__)), name, str(fd))


def main(name: str, fd: int) -> None:
    if name in os.environ.get("FAILING", "").split():
        sys.exit(7)
    if name in os.environ.get("STUBBORN", "").split():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if name == "seed":
        return
    if not name.startswith("web"):
        while True:
            signal.pause()
    listening = socket.socket(fileno=fd)
    body = str(os.getpid()).encode()
    while True:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
