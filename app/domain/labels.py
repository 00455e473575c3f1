"""Seat labels such as `VIP-1F-A-12`, `R석/2층/B열/7` or `블랙-S`: what separates their parts, and what each part names.

Pure. A whole file's labels are looked at together: the separator is the one that cuts most labels alike, a part's
dimension is what most labels say there (`2층`, `row B`, `VIP`), and what stays open is filled in the usual order.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache, partial

SEPARATORS = ("/", "-", "_", ":", " ")
PARTS_MAX = 5
ROW_SEATS_MAX = 60  # more seats than this to one name: it names a section, not a row
VALUES_CACHED_MAX = 16_384
MOST = 0.5  # of the labels must say the same for it to count


class Dimension(StrEnum):
    """In the order in which labels usually name them."""

    grade = "grade"
    floor = "floor"
    section = "section"
    row = "row"
    number = "number"


WORDS: dict[Dimension, tuple[str, str]] = {  # (before the value, behind it)
    Dimension.grade: ("grade|tier|class|등급", "석|등급|grade|tier|class"),
    Dimension.floor: ("floor|level|fl|lv", "층|floor|level|fl"),
    Dimension.section: ("section|block|zone|area|sec|blk|구역", "구역|블록|블럭|구획|존|zone|section|block"),
    Dimension.row: ("row|line|열", "열|행|줄|row"),
    Dimension.number: ("seat|number|num|no|좌석|번호|제", "번좌석|좌석|번석|번|호|석|seat"),
}
GRADE_WORDS = frozenset(
    """vip vvip svip r s sr op royal premium standard general standing economy
    일반 스탠딩 로얄 로열 프리미엄 지정 특 우대 시야제한""".split()  # noqa: SIM905  # a list of words reads better
)

_BEFORE = {
    kind: re.compile(rf"(?:{before})(?:[\s.]+(?P<a>[^\s.].*)|(?P<b>#?\d+|[a-z]))", re.IGNORECASE)
    for kind, (before, _) in WORDS.items()
}
_BEHIND = {kind: re.compile(rf"(.*\S)\s*(?:{behind})", re.IGNORECASE) for kind, (_, behind) in WORDS.items()}
_FLOOR = re.compile(
    r"(?:지하|지상)?\s*b?\d{1,2}\s*(?:층|f)|b?\d{1,2}(?:st|nd|rd|th)\s*(?:floor|level|fl)", re.IGNORECASE
)
_NUMBER = re.compile(r"#?\d{1,6}")
_ROW_AND_NUMBER = re.compile(r"([a-z]{1,2}|[가-힣])(\d{1,4}[a-z]?)", re.IGNORECASE)
_ROW = re.compile(r"[a-z]{1,2}|\d{1,3}|[가-힣]", re.IGNORECASE)
_ALL_BEFORE = frozenset(word for before, _ in WORDS.values() for word in before.split("|"))
_ALL_BEHIND = frozenset(word for _, behind in WORDS.values() for word in behind.split("|"))
_WORDS_BEFORE = frozenset(word for word in _ALL_BEFORE if word.isascii()) | {"좌석", "번호", "제"}
_WORDS_BEHIND = _ALL_BEHIND - _WORDS_BEFORE
_OPEN_FIRST = (Dimension.row, Dimension.section, Dimension.grade, Dimension.floor)


@lru_cache(maxsize=VALUES_CACHED_MAX)
def bare(kind: Dimension, text: str) -> str | None:
    """The value without the word that names its dimension (`B` of `B열`); None when no such word is there.

    A floor keeps its word: `2층` is how it is called.
    """
    if kind is Dimension.floor:
        return text if _FLOOR.fullmatch(text) or _BEFORE[kind].fullmatch(text) else None
    found = _BEFORE[kind].fullmatch(text)
    value: str | None = (found["a"] or found["b"]) if found else None
    if value is None and (behind := _BEHIND[kind].fullmatch(text)):
        value = behind[1]
    if value is None or not _may_be(kind, value):
        return None
    return value.lstrip("#") if kind is Dimension.number else value


def _may_be(kind: Dimension, value: str) -> bool:
    """`12석` is a number and no grade; `다음열` is no row."""
    match kind:
        case Dimension.number:
            return _NUMBER.fullmatch(value) is not None
        case Dimension.grade:
            return not value.isdigit()
        case Dimension.row:
            return _ROW.fullmatch(value) is not None
        case _:
            return True


def split(label: str, separator: str, joined: bool = False) -> list[str]:
    """The parts. Between spaces, a word that names a dimension stays with its value: `Row B`, `3 열`.

    `joined`: the last part is a row and a number, `A12`.
    """
    if joined:
        *first, last = split(label, separator) or [""]
        found = _ROW_AND_NUMBER.fullmatch(last)
        return [*first, found[1], found[2]] if found else [*first, last]
    if not separator:
        return [] if any(other in label.strip() for other in SEPARATORS) else [label.strip()]
    if separator != " ":
        return [part.strip() for part in label.split(separator)]
    parts: list[str] = []
    before = False
    for word in label.split():
        if parts and (before or word.casefold() in _WORDS_BEHIND):
            parts[-1] += f" {word}"
            before = False
        else:
            parts.append(word)
            before = word.casefold() in _WORDS_BEFORE
    return parts


@dataclass(frozen=True, slots=True)
class Scheme:
    """How the labels of one file are to be read."""

    separator: str
    dimensions: tuple[Dimension, ...]
    joined: bool = False  # the last part is a row and a number, `A12`

    def read(self, label: str) -> dict[Dimension, str] | None:
        """What a label says, or None if it has another number of parts."""
        parts = split(label, self.separator, self.joined)
        if len(parts) != len(self.dimensions):
            return None
        return {kind: bare(kind, part) or part for kind, part in zip(self.dimensions, parts, strict=True)}


def find_scheme(
    labels: Sequence[str],
    *,
    grades: Collection[str] = (),
    elsewhere: Collection[Dimension] = (),
    order: Sequence[Dimension] = (),
) -> Scheme | None:
    """The scheme most labels follow; None when no cut leaves at most PARTS_MAX parts.

    `grades`: names known to be grades. `elsewhere`: dimensions the file tells in columns of their own.
    `order`: what the parts name, if somebody said so.
    """
    best: tuple[float, ...] = (-1.0,)
    found: Scheme | None = None
    ways = [(separator, joined) for joined in (False, True) for separator in (*SEPARATORS, "")]
    for place, (separator, joined) in enumerate(ways):
        cut = [split(label, separator, joined) for label in labels]
        counts = Counter(
            len(parts) for parts in cut if len(parts) <= PARTS_MAX and (not order or len(parts) == len(order))
        )
        counts = Counter({size: n for size, n in counts.items() if size > (1 if separator or joined else 0)})
        if not counts:
            continue
        size, alike = max(counts.items(), key=lambda pair: (pair[1], pair[0]))
        columns = [Counter(column) for column in zip(*(parts for parts in cut if len(parts) == size), strict=True)]
        dimensions = tuple(order) or _name(columns, alike, frozenset(g.casefold() for g in grades), set(elsewhere))
        if len(dimensions) != size:
            continue
        rank = (float(Dimension.number in dimensions), alike / len(labels) * size, -place)
        if rank > best:
            best, found = rank, Scheme(separator, dimensions, joined)
    return found


def _name(
    columns: list[Counter[str]], total: int, grades: frozenset[str], elsewhere: set[Dimension]
) -> tuple[Dimension, ...]:
    """What each column of parts names; shorter than `columns` when there is nothing left for one to name."""
    named: dict[int, Dimension] = {}
    free = [kind for kind in Dimension if kind not in elsewhere]

    def take(at: int, kind: Dimension) -> None:
        named[at] = kind
        free.remove(kind)

    def look(kind: Dimension, fits: Callable[[str], bool]) -> None:
        for at, column in enumerate(columns):
            if kind in free and at not in named and _share(column, total, fits):
                take(at, kind)

    for kind in (Dimension.floor, Dimension.section, Dimension.row, Dimension.number, Dimension.grade):
        look(kind, partial(_says, kind))
    if Dimension.number in free:
        numeric = [at for at, c in enumerate(columns) if at not in named and _share(c, total, _is_number)]
        if numeric:
            take(numeric[-1], Dimension.number)
    for words in (grades, GRADE_WORDS):
        look(Dimension.grade, partial(_is_among, words))
    open_ones = [at for at in range(len(columns)) if at not in named]
    for at, kind in zip(open_ones, _fill([columns[at] for at in open_ones], total, columns, free), strict=False):
        named[at] = kind
    return tuple(named[at] for at in sorted(named))


def _fill(
    open_ones: list[Counter[str]], total: int, columns: list[Counter[str]], free: list[Dimension]
) -> list[Dimension]:
    """What the unnamed columns name: rows before sections before grades before floors, told in the usual order."""
    if len(open_ones) == 1 and {Dimension.row, Dimension.section} <= set(free):
        long_rows = total / max(1, _combinations(columns)) > ROW_SEATS_MAX
        return [Dimension.section if long_rows or not _share(open_ones[0], total, _is_row) else Dimension.row]
    chosen = [kind for kind in _OPEN_FIRST if kind in free][: len(open_ones)]
    return sorted(chosen, key=list(Dimension).index)


def _combinations(columns: list[Counter[str]]) -> int:
    """How many rows or sections there may be at most: every column but the richest, the numbers, multiplied."""
    product = 1
    for size in sorted(len(column) for column in columns)[:-1]:
        product *= size
    return product


def _share(column: Counter[str], total: int, fits: Callable[[str], bool]) -> bool:
    return sum(n for value, n in column.items() if fits(value)) > total * MOST


def _says(kind: Dimension, value: str) -> bool:
    return bare(kind, value) is not None


def _is_among(words: frozenset[str], value: str) -> bool:
    return value.casefold() in words


def _is_number(value: str) -> bool:
    return _NUMBER.fullmatch(value) is not None


def _is_row(value: str) -> bool:
    return _ROW.fullmatch(value) is not None
