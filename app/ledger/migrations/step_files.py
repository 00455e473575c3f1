"""The migration steps that this program knows, read from their files as text, so that Alembic need not be loaded."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).with_name("versions")
_DECLARED = re.compile(r'^(revision|down_revision|runs_from)(?:: [^=]+)? = "(\w+)"', re.MULTILINE)


@cache
def steps() -> tuple[str, ...]:
    """The revision of every step, oldest first."""
    after = {declared.get("down_revision", ""): declared["revision"] for declared in _declared()}
    found = [after[""]]
    while found[-1] in after:
        found.append(after[found[-1]])
    return tuple(found)


@cache
def runs_from() -> str:
    """The oldest step whose program runs on the tables of the newest: what that one's file declares, else itself."""
    newest = next(declared for declared in _declared() if declared["revision"] == steps()[-1])
    return newest.get("runs_from", newest["revision"])


def _declared() -> list[dict[str, str]]:
    return [dict(_DECLARED.findall(file.read_text())) for file in sorted(VERSIONS.glob("[!_]*.py"))]
