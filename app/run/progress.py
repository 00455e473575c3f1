"""A bar on a terminal that says how far a long command is. Elsewhere, and while it is quick, it says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

WIDTH = 30
QUIET_S = 2.0  # what is done by then needs no bar
EVERY_S = 0.2

Progress = Callable[[int, int], None]  # (done, of how many)


@contextmanager
def progress_bar(what: str, out: TextIO, clock: Callable[[], float]) -> Iterator[Progress]:
    """Tell what is given how far it is: `what` are the things that are counted. The bar is gone when the block ends."""
    began_s = clock()
    told_s = began_s + QUIET_S - EVERY_S
    is_shown = False

    def tell(done: int, total: int) -> None:
        nonlocal told_s, is_shown
        if not out.isatty() or clock() - told_s < EVERY_S:
            return
        told_s, is_shown = clock(), True
        filled = WIDTH * done // max(total, 1)
        out.write(f"\r[{'#' * filled}{'.' * (WIDTH - filled)}] {done:,} of {total:,} {what}")
        out.flush()

    try:
        yield tell
    finally:
        if is_shown:
            out.write("\r\033[K")
            out.flush()
