"""What a command tells: in words for people, or with `--json` one object a line for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from app.run.children import Say


@dataclass(frozen=True, slots=True)
class Tell:
    """`say` writes a line."""

    say: Say
    as_json: bool = False

    def words(self, *lines: str) -> None:
        """What only people need: a heading, progress, a hint."""
        if not self.as_json:
            for line in lines:
                self.say(line)

    def __call__(self, found: Any, *lines: str) -> None:
        """Tell something: `found` to programs, or the lines, which say the same, to people."""
        if self.as_json:
            self.say(msgspec.json.encode(found).decode())
        else:
            self.words(*lines)
