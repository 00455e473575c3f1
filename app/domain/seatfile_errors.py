"""What is wrong with an uploaded seat file, line by line: counted in full, kept to a bounded number.

Pure. A fault carries a code and the words it is about; the sentences are in the pages' languages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

FAULTS_KEPT_MAX = 100
SHOWN_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """`line` counts from 1 (of a CSV the line, of JSON the item); 0 is the whole file. `field` names a column."""

    line: int
    code: str
    value: str = ""
    field: str = ""
    other: str = ""


@dataclass(slots=True)
class Faults:
    """The first FAULTS_KEPT_MAX faults, and how many there are."""

    kept: list[Fault] = field(default_factory=list)
    total: int = 0

    def add(self, fault: Fault) -> None:
        self.total += 1
        if len(self.kept) < FAULTS_KEPT_MAX:
            self.kept.append(fault)

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Note the BadLine that ends the block."""
        try:
            yield
        except BadLine as bad:
            self.add(bad.fault)


class BadLine(ValueError):
    """This line cannot be imported; never leaves the reading of a file."""

    def __init__(self, line: int, code: str, value: str = "", *, field: str = "", other: str = "") -> None:
        super().__init__(code)
        self.fault = Fault(line, code, shown(value), field, shown(other))


def shown(text: str) -> str:
    """A value fit to be repeated in a sentence: short, and without anything that does not print."""
    begins = text[:SHOWN_CHARACTERS_MAX]
    printed = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in begins)
    return printed if len(text) <= SHOWN_CHARACTERS_MAX else f"{printed[: SHOWN_CHARACTERS_MAX - 1]}…"
