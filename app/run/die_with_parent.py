"""Becomes another program that dies when its parent does, even by kill -9.

Run by path, isolated, before anything of ours is imported: `python -I -S die_with_parent.py PARENT_PID COMMAND…`.
A program that is not ours, such as Redis, cannot ask the kernel for this itself.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted
