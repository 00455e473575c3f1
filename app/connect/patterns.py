"""Which of many patterns fit a text, found together: a pattern costs next to nothing where its beginning is not there.

A pattern is a text in which `*` stands for any characters, or `=text` for exactly that text. What a text without either
means is said by whoever adds it. Time is linear in the text for each pattern: nothing is tried again.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

PATTERN_CHARS_MAX = 300
STARS_MAX = 8


class Plain(StrEnum):
    """What a pattern without `*` and `=` means."""

    whole = "whole"  # the text itself
    folder = "folder"  # a path, and all that lies below it
    inside = "inside"  # anywhere in the text


class _Glob(NamedTuple):
    """What stands between stars. `bits`: of those who asked for it."""

    head: str
    between: tuple[str, ...]
    tail: str
    bits: int

    def fits(self, text: str) -> bool:
        at, end = len(self.head), len(text) - len(self.tail)
        if at > end or not text.startswith(self.head) or not text.endswith(self.tail):
            return False
        for part in self.between:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


def why_no_pattern(pattern: str) -> str | None:
    """Why this is no pattern, for a person; None if it is one."""
    if not pattern:
        return "an empty pattern fits nothing"
    if len(pattern) > PATTERN_CHARS_MAX:
        return f"a pattern has at most {PATTERN_CHARS_MAX} characters"
    if not pattern.isprintable():
        return "a pattern has printable characters only"
    if not pattern.startswith("=") and pattern.count("*") > STARS_MAX:
        return f"a pattern has at most {STARS_MAX} stars"
    return None


class Patterns:
    """Patterns with the bits of those who asked for them; `fitting` ors the bits of those that fit."""

    def __init__(self, wanted: Iterable[tuple[str, int]], plain: Plain) -> None:
        self._whole: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._heads: dict[str, list[_Glob]] = {}
        self._tails: dict[str, list[_Glob]] = {}
        self._inside: list[tuple[str, _Glob]] = []
        for pattern, bits in wanted:
            self._add(pattern, bits, plain)
        # the lengths that occur, so that a text is cut no more often than there are different ones
        self._folder_lengths = sorted({len(folder) for folder in self._folders})
        self._head_lengths = sorted({len(head) for head in self._heads})
        self._tail_lengths = sorted({len(tail) for tail in self._tails})

    def _add(self, pattern: str, bits: int, plain: Plain) -> None:
        if pattern.startswith("="):
            self._whole[pattern[1:]] = self._whole.get(pattern[1:], 0) | bits
        elif "*" in pattern or plain is Plain.inside:
            self._add_glob(pattern if "*" in pattern else f"*{pattern}*", bits)
        elif plain is Plain.folder:
            folder = pattern.rstrip("/") or "/"
            self._folders[folder] = self._folders.get(folder, 0) | bits
        else:
            self._whole[pattern] = self._whole.get(pattern, 0) | bits

    def _add_glob(self, pattern: str, bits: int) -> None:
        head, *between, tail = pattern.split("*")
        glob = _Glob(head, tuple(part for part in between if part), tail, bits)
        if head:
            self._heads.setdefault(head, []).append(glob)
        elif tail:
            self._tails.setdefault(tail, []).append(glob)
        else:
            self._inside.append((max(glob.between, key=len, default=""), glob))

    def fitting(self, text: str) -> int:
        size = len(text)
        found = self._whole.get(text, 0)
        for length in self._folder_lengths:
            if length > size:
                break
            bits = self._folders.get(text[:length])
            if bits and (length in (1, size) or text[length] == "/"):  # /cart is no part of /cartoon
                found |= bits
        for length in self._head_lengths:
            for glob in self._heads.get(text[:length], ()):
                if glob.fits(text):
                    found |= glob.bits
        for length in self._tail_lengths:
            for glob in self._tails.get(text[-length:], ()):
                if glob.fits(text):
                    found |= glob.bits
        for part, glob in self._inside:
            if part in text and glob.fits(text):
                found |= glob.bits
        return found
