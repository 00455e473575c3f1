"""Reads an uploaded seat file, CSV or JSON, into lines of named values: encodings, separators, column names.

Pure, and made for files as Excel and people write them: UTF-8 with or without its mark, UTF-16, Korean CP949; commas,
semicolons or tabs; Korean or English headings, or one column of labels without any. Text is only text: nothing in a
cell is ever evaluated, and a leading apostrophe means, as in Excel, that the rest is to be taken as it stands.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.domain.labels import SEPARATORS
from app.domain.seatfile_errors import BadLine, Faults

LINES_MAX = 100_000
COLUMNS_MAX = 50
HEADING_CHARS_MAX = 200  # a longer one names nothing: some patterns take time by the square of what they read
VALUE_CHARS_MAX = 1_000  # no value is read that is longer, whatever for
DELIMITERS = ",;\t"
HEADINGS: dict[str, str] = {
    "label": "label seatlabel seatname seatcode code 좌석 좌석명 좌석라벨 라벨 좌석코드 자리",
    "grade": "grade seatgrade tier class pricegrade 등급 좌석등급 석종 권종",
    "floor": "floor level story storey 층 층수",
    "section": "section block zone area sec 구역 구역명 블록 블럭 존",
    "row": "row line rowname 열 행 줄",
    "number": "number no num seat seatno seatnumber seatnum 번호 좌석번호 번",
    "price": "price cost amount 가격 금액 요금 정가",
    "x": "x posx xpos 가로 x좌표",
    "y": "y posy ypos 세로 y좌표",
    "count": "count quantity qty seats 수량 좌석수 매수 개수",
}
_FIELD = {word: name for name, words in HEADINGS.items() for word in words.split()}
_IN_BRACKETS = re.compile(r"[(（\[].*?[)）\]]")
_NO_LETTER = re.compile(r"[\s_\-.·:#*]+")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\n|\r")
_MARKS = (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))


Lines = list[tuple[int, dict[str, str]]]
LITERAL = "'"  # before a value: take the rest as it stands


@dataclass(slots=True)
class Sheet:
    """The lines of a file with what each says, and how it was read. `prices`: of grades, told apart from seats."""

    kind: str  # csv | json
    encoding: str = "utf-8"
    delimiter: str = ""
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    lines: Lines = field(default_factory=list)
    prices: dict[str, str] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)


def read_sheet(data: bytes, kind: str = "") -> Sheet:
    """Read a file; `kind` is csv, json or unknown. What is wrong is in `faults`, never raised."""
    sheet = Sheet(kind or ("json" if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{") else "csv"))
    with sheet.faults.catching():
        if data[:4] in (b"PK\x03\x04", b"\xd0\xcf\x11\xe0") or data[:2] == b"\x1f\x8b":
            raise BadLine(0, "archive")  # a workbook, a zip or a gzip: nothing is ever unpacked
        text = _decode(data, sheet)
        if not text.strip():
            raise BadLine(0, "empty")
        if sheet.kind == "json":
            _read_json(text, sheet)
        else:
            _read_csv(text, sheet)
    return sheet


def _decode(data: bytes, sheet: Sheet) -> str:
    marked = [encoding for encoding, mark in _MARKS if data.startswith(mark)]
    for encoding in marked or ["utf-8", "cp949"]:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        sheet.encoding = encoding.removesuffix("-sig")
        return text
    raise BadLine(0, "encoding")


def heading(text: str) -> str | None:
    """The field a column's heading names: `좌석등급`, `Seat No.` and `가격(원)` are known; None otherwise."""
    if len(text) > HEADING_CHARS_MAX:
        return None
    plain = _IN_BRACKETS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return _FIELD.get(_NO_LETTER.sub("", plain))


def clean(text: str) -> str:
    """A value as it is kept: composed Hangul, ordinary spaces, none at the ends or in a row."""
    return " ".join(unicodedata.normalize("NFC", text).split())


# --- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(text: str, sheet: Sheet) -> None:
    numbered = [(at, line) for at, line in enumerate(_LINE_END.split(text), 1) if line.strip(" ,;\t")]
    if numbered and (told := re.fullmatch(r"sep=([,;\t])", numbered[0][1].strip(" "), re.IGNORECASE)):
        sheet.delimiter = told[1]
        numbered = numbered[1:]
    if not numbered:
        raise BadLine(0, "empty")
    if len(numbered) > LINES_MAX + 1:
        raise BadLine(0, "lines_max", other=str(LINES_MAX))
    sheet.delimiter = sheet.delimiter or _delimiter(numbered[0][1])
    first_at, first = numbered[0]
    names = _columns(first_at, _cells(first_at, first, sheet.delimiter), sheet)
    body = numbered[1:] if names else numbered
    for at, line in body:
        with sheet.faults.catching():
            cells = _cells(at, line, sheet.delimiter)
            if len(cells) > len(names or "1") and any(cells[len(names or "1") :]):
                raise BadLine(at, "cells", other=str(len(names or "1")))
            sheet.lines.append((at, _values(at, zip(names or ("label",), cells, strict=False))))
    if names and not body:
        raise BadLine(0, "empty")
    _settle(sheet, names or ("label",))


def _delimiter(line: str) -> str:
    outside = re.sub(r'"[^"]*"', "", line)
    best = max(DELIMITERS, key=outside.count)
    return best if outside.count(best) else ","


def _cells(at: int, line: str, delimiter: str) -> list[str]:
    """One line's cells. A line is read by itself, so that an open quote spoils no other."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        raise BadLine(at, "quotes", line) from None


def _columns(at: int, cells: list[str], sheet: Sheet) -> tuple[str, ...]:
    """The fields the columns name, "" for a column of no use; empty when the first line is a seat already."""
    if len(cells) > COLUMNS_MAX:
        raise BadLine(at, "columns_max", other=str(COLUMNS_MAX))
    names = [heading(cell) or "" for cell in cells]
    if not any(names):
        if len([cell for cell in cells if cell.strip()]) > 1:
            raise BadLine(at, "no_headings", ", ".join(cells))
        return ()
    twice = next((cell for name, cell in zip(names, cells, strict=True) if name and names.count(name) > 1), None)
    if twice is not None:
        raise BadLine(at, "heading_twice", twice)
    sheet.ignored = tuple(clean(cell) for name, cell in zip(names, cells, strict=True) if not name and cell.strip())
    return tuple(names)


# --- JSON ------------------------------------------------------------------------------------------------------------


def _read_json(text: str, sheet: Sheet) -> None:
    """A list of labels or of objects, or `{"seats": […], "grades": {name: price}}`."""
    try:
        found = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadLine(0, "json", str(error)) from None
    if isinstance(found, dict):
        sheet.prices = _json_prices(found.get("grades", {}))
        found = found.get("seats")
    if not isinstance(found, list):
        raise BadLine(0, "json_shape")
    if not found:
        raise BadLine(0, "empty")
    if len(found) > LINES_MAX:
        raise BadLine(0, "lines_max", other=str(LINES_MAX))
    used: dict[str, str | None] = {}
    for at, item in enumerate(found, 1):
        with sheet.faults.catching():
            sheet.lines.append((at, _item(at, item, used)))
    sheet.ignored = tuple(clean(name) for name, kind in used.items() if kind is None)[:COLUMNS_MAX]
    _settle(sheet, tuple({kind for kind in used.values() if kind} or {"label"}))


def _item(at: int, item: object, used: dict[str, str | None]) -> dict[str, str]:
    if isinstance(item, str):
        return _values(at, [("label", item)])
    if not isinstance(item, dict):
        raise BadLine(at, "json_item")
    pairs: list[tuple[str, str]] = []
    for name, value in item.items():
        if name not in used:
            if len(used) >= COLUMNS_MAX:
                raise BadLine(at, "columns_max", other=str(COLUMNS_MAX))
            used[name] = heading(name)
        kind = used[name]
        if kind is not None and value is not None:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise BadLine(at, "json_value", name)
            if any(kind == known for known, _ in pairs):
                raise BadLine(at, "heading_twice", name)
            pairs.append((kind, str(value)))
    return _values(at, pairs)


def _json_prices(grades: Any) -> dict[str, str]:
    """`{name: price}` or `[{name, price}]`."""
    if isinstance(grades, list):
        grades = {g.get("name"): g.get("price") for g in grades if isinstance(g, dict)} if grades else {}
    if not isinstance(grades, dict) or not all(isinstance(name, str) for name in grades):
        raise BadLine(0, "json_grades")
    return {name: str(price) for name, price in grades.items()}


# --- both ------------------------------------------------------------------------------------------------------------


def _values(at: int, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values that are there. Raises BadLine for one that is too long to be looked at, and for what does not print:
    it would hide what a person sees.
    """
    values: dict[str, str] = {}
    for name, text in pairs:
        if name:
            if len(text) > VALUE_CHARS_MAX:
                raise BadLine(at, "too_long", text, field=name, other=str(VALUE_CHARS_MAX))
            if not text.isprintable() and _UNPRINTABLE.search(text.strip()):
                raise BadLine(at, "unprintable", text, field=name)
            kept = text if text.startswith(LITERAL) else clean(text)
            if kept:
                values[name] = kept
    return values


def _settle(sheet: Sheet, names: Iterable[str]) -> None:
    """A column called `seat` may hold whole labels instead of numbers: its values tell."""
    fields = {name for name in names if name}
    if "number" in fields and "label" not in fields and _are_labels(sheet.lines):
        fields = fields - {"number"} | {"label"}
        for _, values in sheet.lines:
            if "number" in values:
                values["label"] = values.pop("number")
    elif "label" in fields and "number" not in fields and {"row", "section"} & fields and _are_numbers(sheet.lines):
        fields = fields - {"label"} | {"number"}
        for _, values in sheet.lines:
            if "label" in values:
                values["number"] = values.pop("label")
    sheet.fields = tuple(name for name in HEADINGS if name in fields)


def _are_labels(lines: Lines) -> bool:
    texts = [values["number"] for _, values in lines if "number" in values]
    cut = sum(any(separator in text[1:] for separator in SEPARATORS) for text in texts)
    return cut * 2 > len(texts) and sum(text.split()[0].isdigit() for text in texts) * 2 < len(texts)


def _are_numbers(lines: Lines) -> bool:
    texts = [values["label"] for _, values in lines if "label" in values]
    return bool(texts) and sum(text.isdigit() for text in texts) * 2 > len(texts)
