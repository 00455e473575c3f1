"""One seed of `make faults`: processes killed, stopped and paused, stores full, slow and read-only, answers lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtest.faults.run import VERDICT, log_violations, run

SEED = 903  # has no start of Redis, after which the line stands for a while


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_disturbed_system_ends_clean(tmp_path: Path) -> None:
    assert await run(SEED, tmp_path, os.environ) == []
    said = (tmp_path / VERDICT).read_text()
    assert "Clean: I1 to I7 hold." in said


def test_a_log_with_a_traceback_an_error_or_an_end_is_told() -> None:
    good = '{"level":"warning","name":"store_fails"}\nweb-1 was ended by SIGKILL. Starting it again in 0.1 s.\n'
    assert log_violations(good) == []
    bad = '{"level":"error","name":"x"}\nTraceback (most recent call last):\nweb-1 ended with exit code 1. Starting\n'
    assert [line.split(":")[0] for line in log_violations(good + bad)] == [
        "the log has a traceback",
        "the log has an error",
        "a process ended by itself",
    ]
