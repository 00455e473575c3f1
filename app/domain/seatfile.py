"""Reads an uploaded seat file, CSV or JSON, into lines of named values: encodings, separators, headings.

Pure, and made for files as Excel, pandas, databases and people write them: UTF-8 with or without its mark, UTF-16,
Korean CP949; commas, semicolons, tabs or bars; headings in any spelling (headings.py), a title above them and totals
below, or one column of labels without any. Text is only text: nothing in a cell is ever evaluated, and a leading
apostrophe means, as in Excel, that the rest is to be taken as it stands.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.domain.headings import FIELDS, columns_of, heading_of
from app.domain.labels import SEPARATORS
from app.domain.seatfile_errors import BadLine, Faults, shown
from app.domain.seatvalues import is_total, marks_of, on_sale_of, seat_name_of, unwrapped, whole_part, without_decimals

LINES_MAX = 100_000
COLUMNS_MAX = 50
VALUE_CHARS_MAX = 1_000  # no value is read that is longer, whatever for
RECORD_LINES_MAX = 20  # lines of one record, whose quoted values may have breaks in them
ABOVE_HEADINGS_MAX = 20  # lines of a title
SKIPPED_KEPT_MAX = 20
DELIMITERS = ",;\t|"
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_LINE_END = re.compile(r"\r\n|\n|\r")
_MARKS = (("utf-8-sig", b"\xef\xbb\xbf"), ("utf-16", b"\xff\xfe"), ("utf-16", b"\xfe\xff"))
_QUOTE_OPENS = re.compile(r'(?:^|[,;\t|])[ ]*"')
_RULE = re.compile(r"[-+=|_*\s]{3,}|\(\d+ rows?\)|\\\.")  # of a database's client
_TEXTS = ("grade", "floor", "section", "row")


Lines = list[tuple[int, dict[str, str]]]
LITERAL = "'"  # before a value: take the rest as it stands


@dataclass(slots=True)
class Skipped:
    """Lines that are no seats: the first SKIPPED_KEPT_MAX with their text, and how many there are."""

    kept: list[tuple[int, str]] = field(default_factory=list)
    total: int = 0

    def add(self, at: int, text: str) -> None:
        self.total += 1
        if len(self.kept) < SKIPPED_KEPT_MAX:
            self.kept.append((at, shown(clean(text))))


@dataclass(slots=True)
class Sheet:
    """The lines of a file with what each says, and how it was read. `prices`: of grades, told apart from seats.

    `ignored`: headings that name nothing known. `twice`: field, the heading that is taken for it, one that is not.
    """

    kind: str  # csv | json
    encoding: str = "utf-8"
    delimiter: str = ""
    fields: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    twice: tuple[tuple[str, str, str], ...] = ()
    skipped: Skipped = field(default_factory=Skipped)
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


def clean(text: str) -> str:
    """A value as it is kept: composed Hangul, ordinary spaces, none at the ends or in a row."""
    return " ".join(unicodedata.normalize("NFC", text).split())


# --- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(text: str, sheet: Sheet) -> None:
    records = [(at, record) for at, record in _records(text) if record.strip(" ,;\t|")]
    if records and (told := re.fullmatch(r"sep=([,;\t|])", records[0][1].strip(" "), re.IGNORECASE)):
        sheet.delimiter = told[1]
        records = records[1:]
    if not records:
        raise BadLine(0, "empty")
    if len(records) > LINES_MAX + ABOVE_HEADINGS_MAX:
        raise BadLine(0, "lines_max", other=str(LINES_MAX))
    top = _heading_at(records)
    for at, title in records[:top]:
        sheet.skipped.add(at, title)
    head_at, head = records[top]
    sheet.delimiter = sheet.delimiter or _delimiter(head)
    headings = _cells(head_at, head, sheet.delimiter)
    if len(headings) > COLUMNS_MAX:
        raise BadLine(head_at, "columns_max", other=str(COLUMNS_MAX))
    has_headings = any(heading_of(cell) for cell in headings)
    if not has_headings and len([cell for cell in headings if cell.strip()]) > 1:
        raise BadLine(head_at, "no_headings", ", ".join(headings))
    body = records[top + 1 :] if has_headings else records[top:]
    rows = list(_rows(body, sheet, len(headings) if has_headings else 1, head if has_headings else ""))
    if len(rows) > LINES_MAX:
        raise BadLine(0, "lines_max", other=str(LINES_MAX))
    if has_headings:
        _name_columns(sheet, headings, rows)
    else:
        _take_rows(sheet, ("label",), rows)


def _records(text: str) -> Iterator[tuple[int, str]]:
    """Every record with the number of its first line. A quoted value may have line breaks; a quote that is not closed
    within RECORD_LINES_MAX lines spoils its own line only.
    """
    lines = _LINE_END.split(text)
    at = 0
    while at < len(lines):
        end = at + 1
        if lines[at].count('"') % 2 and _QUOTE_OPENS.search(lines[at]):
            quotes = lines[at].count('"')
            while quotes % 2 and end < min(len(lines), at + RECORD_LINES_MAX):
                quotes += lines[end].count('"')
                end += 1
            if quotes % 2:
                end = at + 1
        yield at + 1, "\n".join(lines[at:end])
        at = end


def _heading_at(records: Sequence[tuple[int, str]]) -> int:
    """Which record has the headings: the first of the top ones that names two things, else the first."""
    for at, (_, record) in enumerate(records[: ABOVE_HEADINGS_MAX + 1]):
        cells = re.split(f"[{re.escape(_delimiter(record))}]", record)
        if len({named.field for cell in cells if (named := heading_of(cell.strip(' "')))}) > 1:
            return at
    return 0


def _delimiter(record: str) -> str:
    """The one that cuts the headings best: into most that are known, then into most."""
    outside = re.sub(r'"[^"]*"', lambda quoted: re.sub(r"\W", " ", quoted[0]), record)

    def known(delimiter: str) -> tuple[int, int]:
        cells = outside.split(delimiter)
        return sum(heading_of(cell.strip(' "')) is not None for cell in cells) if len(cells) > 1 else 0, len(cells)

    best = max(DELIMITERS, key=known)
    return best if best in outside else ","


def _rows(
    body: Sequence[tuple[int, str]], sheet: Sheet, columns: int, head: str
) -> Iterator[tuple[int, Sequence[str]]]:
    """The cells of each line that may be a seat; what cannot be one is noted."""
    for at, record in body:
        if record == head or _RULE.fullmatch(record.strip()):
            sheet.skipped.add(at, record)
            continue
        with sheet.faults.catching():
            cells = _cells(at, record, sheet.delimiter)
            if len(cells) > columns and any(cell.strip() for cell in cells[columns:]):
                raise BadLine(at, "cells", other=str(columns))
            first = next((cell for cell in cells if cell.strip()), "")
            if columns > 1 and is_total(first):
                sheet.skipped.add(at, record)
            else:
                yield at, cells


def _cells(at: int, record: str, delimiter: str) -> list[str]:
    if '"' not in record:
        return record.split(delimiter)
    try:
        return next(
            csv.reader(record.splitlines(keepends=True), delimiter=delimiter, strict=True, skipinitialspace=True)
        )
    except csv.Error:
        raise BadLine(at, "quotes", record) from None


def _name_columns(sheet: Sheet, headings: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    """Take each column for what its heading names, and read the rows by that."""
    if not rows and not sheet.faults.total:
        raise BadLine(0, "empty")
    filled = [any(at < len(cells) and cells[at].strip() for _, cells in rows) for at in range(len(headings))]
    columns = columns_of(headings, filled)
    sheet.ignored = tuple(clean(heading) for heading in columns.ignored)
    sheet.twice = tuple((name, clean(taken), clean(left)) for name, taken, left in columns.twice)
    _take_rows(sheet, columns.fields, rows)


def _take_rows(sheet: Sheet, fields: Sequence[str], rows: Sequence[tuple[int, Sequence[str]]]) -> None:
    for at, cells in rows:
        with sheet.faults.catching():
            values = _values(at, zip(fields, cells, strict=False))
            if values:
                sheet.lines.append((at, values))
            else:
                sheet.skipped.add(at, " ".join(cells))
    _settle(sheet, fields)


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
    headings: dict[str, int] = {}
    for at, item in enumerate(found, 1):
        for name in item if isinstance(item, dict) else ("label",):
            if headings.setdefault(name, len(headings)) >= COLUMNS_MAX:
                raise BadLine(at, "columns_max", other=str(COLUMNS_MAX))
    rows: list[tuple[int, Sequence[str]]] = []
    for at, item in enumerate(found, 1):
        with sheet.faults.catching():
            rows.append((at, _item(at, item, headings)))
    _name_columns(sheet, list(headings), rows)


def _item(at: int, item: object, headings: dict[str, int]) -> list[str]:
    """The values of an item in the order of the headings; a text is a label."""
    if isinstance(item, str):
        item = {"label": item}
    if not isinstance(item, dict):
        raise BadLine(at, "json_item")
    cells = [""] * len(headings)
    for name, value in item.items():
        if isinstance(value, str | int | float) and heading_of(name) is not None:
            cells[headings[name]] = str(value)
        elif value is not None and heading_of(name) is not None:
            raise BadLine(at, "json_value", name)
    return cells


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
    for name, given in pairs:
        if name:
            if len(given) > VALUE_CHARS_MAX:
                raise BadLine(at, "too_long", given, field=name, other=str(VALUE_CHARS_MAX))
            text = _LINE_END.sub(" ", given)
            if not text.isprintable() and _UNPRINTABLE.search(text.strip()):
                raise BadLine(at, "unprintable", text, field=name)
            kept = text if text.startswith(LITERAL) else unwrapped(clean(text))
            if kept:
                values[name] = kept
    return values


def _settle(sheet: Sheet, names: Iterable[str]) -> None:
    """What only the values tell: a column called `seat` may hold whole labels instead of numbers, one called `type` the
    grades, and whole numbers may have decimals.
    """
    fields = {name for name in names if name}
    if "number" in fields and "label" not in fields and _are_labels(sheet.lines):
        fields = _rename(sheet, fields, "number", "label")
    elif "label" in fields and "number" not in fields and {"row", "section"} & fields and _are_numbers(sheet.lines):
        fields = _rename(sheet, fields, "label", "number")
    if "marks" in fields and "grade" not in fields and _are_grades(sheet.lines):
        fields = _rename(sheet, fields, "marks", "grade")
    for name in _TEXTS:
        texts = [values[name] for _, values in sheet.lines if name in values]
        if without_decimals(texts):
            for _, values in sheet.lines:
                if name in values:
                    values[name] = whole_part(values[name])
    sheet.fields = tuple(name for name in FIELDS if name in fields)


def _rename(sheet: Sheet, fields: set[str], was: str, becomes: str) -> set[str]:
    for _, values in sheet.lines:
        if was in values:
            values[becomes] = values.pop(was)
    return fields - {was} | {becomes}


def _are_labels(lines: Lines) -> bool:
    texts = [values["number"] for _, values in lines if "number" in values]
    cut = sum(any(separator in text[1:] for separator in SEPARATORS) for text in texts)
    return cut * 2 > len(texts) and sum(text.split()[0].isdigit() for text in texts) * 2 < len(texts)


def _are_grades(lines: Lines) -> bool:
    """Whether a column called `type` has no word that is a state or a mark."""
    texts = {values["marks"] for _, values in lines if "marks" in values}
    return bool(texts) and not any(marks_of(text) or on_sale_of(text) is not None for text in texts)


def _are_numbers(lines: Lines) -> bool:
    texts = [values["label"] for _, values in lines if "label" in values]
    return bool(texts) and sum(seat_name_of(text) is not None for text in texts) * 2 > len(texts)
