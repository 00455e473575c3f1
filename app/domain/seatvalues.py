"""Single values of a seat file as programs and people write them: numbers, prices, seats' names, states and marks.

Pure. Spreadsheets write whole numbers as `12.0` and protect text as `="012"`, pandas and databases write nothing as
`nan` or `NULL`, half of the world has decimal commas, and seats are called `A1`, `12A` or `2bis`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite
from typing import Literal, NamedTuple

NUMBER_MAX = 99_999
PRICE_MAX = 100_000_000
COORDINATE_MAX = 100_000.0
NAME_MAX = 12

SeatMark = Literal["wheelchair", "companion", "restricted_view"]
MARKS: tuple[SeatMark, ...] = ("wheelchair", "companion", "restricted_view")

_WORDS = {  # of states, types and yes-or-no columns, without spaces and signs
    "empty": r"nan null none <na> n/a #n/a na nil \n - – —",
    "on_sale": """available free open onsale forsale sellable active released unsold vacant true yes y ok frei libre
        disponible 판매가능 판매중 가능 예매가능 빈좌석 예 可 空席""",
    "not_on_sale": """sold soldout taken reserved booked occupied held hold onhold house houseseat houseseats blocked
        block staff crew comp comps complimentary unavailable notavailable notforsale killed kill closed disabled
        inactive removed broken false no n verkauft gesperrt besetzt vendu occupé vendido ocupado 판매완료 판매불가
        판매됨 매진 예약 예약됨 예매완료 보류 유보 유보석 초대 초대석 관계자 관계자석 스태프 사석 차단 불가 아니오""",
    "wheelchair": "wheelchair wheelchairaccessible wheelchairspace wc ada accessible rollstuhl 휠체어 휠체어석",
    "companion": "companion companionseat carer escort attendant begleitperson 동반 동반석 보호자 보호자석",
    "restricted_view": """restrictedview restricted obstructed obstructedview limitedview limited partialview
        partiallyobstructed sichtbehindert 시야제한 시야제한석 시야방해 시야방해석""",
    "total": "total totals subtotal grandtotal sum summe gesamt totale 합계 총계 소계 계 총합 合計 合计",
    "true": "true yes y 1 1.0 x o ✓ ✔ t ja oui si sí 예",
    "false": "false no n 0 0.0 f nein non 아니오",
}
_KNOWN = {name: frozenset(words.split()) for name, words in _WORDS.items()}
_SIGNS = re.compile(r"[\s_\-.]+")
_DIVIDES = re.compile(r"[,;/+|&]")

_PRICE = re.compile(
    r"[₩￦\\$€£¥]?\s*(\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+|\d+)(?:[.,]0{1,2})?\s*(?:원|krw|won|€|\$|£|円)?",
    re.IGNORECASE,
)
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d{1,9})?e\+?\d{1,2}", re.IGNORECASE)
_WHOLE = re.compile(r"#?(\d{1,9}|\d{1,3}(?:,\d{3})+)(?:[.,]0+)?")
_ROW_AND_NUMBER = re.compile(r"([A-Za-z]{1,3}|[가-힣])[\s\-.]?0*(\d{1,5})")
_LETTERED = re.compile(r"0*(\d{1,5})[\s\-.]?([A-Za-z]{1,4}|[가-힣])")
_DECIMAL = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)
_PROTECTED = re.compile(r'="(.*)"')
_FLOAT = re.compile(r"(\d+)[.,]0")


def unwrapped(text: str) -> str:
    """What a program wrote for a text or for nothing: `="012"` is 012, `nan` is empty."""
    protected = _PROTECTED.fullmatch(text)
    text = protected[1] if protected else text
    return "" if text.casefold() in _KNOWN["empty"] else text


def without_decimals(texts: Sequence[str]) -> bool:
    """Whether these are whole numbers that a program wrote with decimals: all of them end in `.0`."""
    return bool(texts) and all(_FLOAT.fullmatch(text) for text in texts)


def whole_part(text: str) -> str:
    """`3` of `3.0`."""
    found = _FLOAT.fullmatch(text)
    return found[1] if found else text


def price_of(text: str) -> int | None:
    """`150,000원`, `₩150,000`, `150000.0`, `150.000,00`, `1.5E+05`; None for anything else or more than PRICE_MAX."""
    text = text.strip()
    if _SCIENTIFIC.fullmatch(text):
        value = float(text.replace(",", "."))
        return int(value) if value.is_integer() and value <= PRICE_MAX else None
    found = _PRICE.fullmatch(text)
    if found is None or len(found[1]) > 15:
        return None
    price = int(re.sub(r"\D", "", found[1]))
    return price if price <= PRICE_MAX else None


def whole_of(text: str) -> int | None:
    """`12`, `#12`, `012`, `12.0`; None for anything else or more than NUMBER_MAX."""
    found = _WHOLE.fullmatch(text) if text.isascii() else None
    number = int(found[1].replace(",", "")) if found else None
    return number if number is not None and number <= NUMBER_MAX else None


def coordinate_of(text: str) -> float | None:
    """A number with a decimal point or a decimal comma; None for anything else or more than COORDINATE_MAX."""
    if not _DECIMAL.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if isfinite(value) and abs(value) <= COORDINATE_MAX else None


class SeatName(NamedTuple):
    """A seat's name: where it is along its row, what is written on it if that is not the number, and the row that it
    names itself (`A` of `A1`), if any.
    """

    number: int
    written: str = ""
    row: str = ""


def seat_name_of(text: str) -> SeatName | None:
    """`12`, `A1`, `12A`, `2bis`, or a single letter; None for what names no seat."""
    number = whole_of(text)
    if number is not None:
        return SeatName(number)
    if found := _ROW_AND_NUMBER.fullmatch(text):
        return SeatName(int(found[2]), text, found[1])
    if found := _LETTERED.fullmatch(text):
        return SeatName(int(found[1]), text)
    if len(text) == 1 and text.isascii() and text.isalpha():
        return SeatName(ord(text.upper()) - ord("A") + 1, text)
    return None


def is_total(text: str) -> bool:
    """Whether a line that begins so adds up the others."""
    return _SIGNS.sub("", text.casefold()).rstrip(":：") in _KNOWN["total"]


def on_sale_of(text: str) -> bool | None:
    """Whether a state means that the seat is put on sale: `available` is, `sold`, `house`, `blocked` and `staff` are
    not. None for an unknown word.
    """
    word = _SIGNS.sub("", text.casefold())
    return True if word in _KNOWN["on_sale"] else False if word in _KNOWN["not_on_sale"] else None


def marks_of(text: str) -> list[SeatMark]:
    """The marks that a type names: `Wheelchair / companion`; other words mean nothing here."""
    words = {_SIGNS.sub("", part.casefold()) for part in _DIVIDES.split(text)}
    return [mark for mark in MARKS if words & _KNOWN[mark]]


def is_true(text: str) -> bool | None:
    """A yes or no, as of a column named `wheelchair`; None for neither."""
    word = text.casefold()
    return True if word in _KNOWN["true"] else False if word in _KNOWN["false"] else None
