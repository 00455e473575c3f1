"""The migration steps that this program knows, read from their files as text, so that Alembic need not be loaded."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).with_name("versions")
_DECLARED = re.compile(r'^(revision|down_revision)(?:: [^=]+)? = "(\w+)"', re.MULTILINE)


@cache
def steps() -> tuple[str, ...]:
    """The revision of every step, oldest first."""
    after: dict[str, str] = {}
    for file in sorted(VERSIONS.glob("[!_]*.py")):
        declared = dict(_DECLARED.findall(file.read_text()))
        after[declared.get("down_revision", "")] = declared["revision"]
    found = [after[""]]
    while found[-1] in after:
        found.append(after[found[-1]])
    return tuple(found)
