"""Who waits at a terminal sees how far it is; a pipe, and who does not have to wait, see nothing."""

from __future__ import annotations

import io

import pytest

from app.run.progress import QUIET_S, progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: io.StringIO, *moments_s: float) -> str:
    """What a command says that is at 0, 1, 2, … of 10 events at these moments."""
    now_s = 0.0
    with progress_bar("events", out, lambda: now_s) as tell:
        for done, moment_s in enumerate(moments_s):
            now_s = moment_s
            tell(done, 10)
    return out.getvalue()


def test_the_bar_comes_after_a_while_and_goes_at_the_end() -> None:
    said = shown(Terminal(), 0, 1, QUIET_S + 0.1, QUIET_S + 0.2, QUIET_S + 1)
    assert said.split("\r")[1:] == [
        "[######........................] 2 of 10 events",
        "[############..................] 4 of 10 events",
        "\033[K",
    ]


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
def test_nothing_is_said_to_a_pipe_or_of_what_is_quick(out: io.StringIO) -> None:
    late_s = 0 if out.isatty() else 100
    assert shown(out, 0, late_s) == ""
