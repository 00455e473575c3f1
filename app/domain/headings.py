"""What the heading of a column names, in any spelling: `section_name`, `Seat No.`, `좌석등급`, `Preis (€)`.

Pure. Headings are what ticket systems, spreadsheets and databases call these things. Where two columns name the same,
one is taken, and the other is told: the plainest heading wins (`section` before `section_name` before `section_id`),
then the first. Some words name one of two things (a zone is a grade where there is a section besides).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

HEADING_CHARS_MAX = 200  # a longer one names nothing: some patterns take time by the square of what they read
_WORDS: dict[str, str] = {
    "label": "label seatlabel seatname seatcode seatguid code 좌석 좌석명 좌석라벨 라벨 좌석코드 자리",
    "grade": """grade seatgrade tier class category seatcategory ticketcategory ticketclass pricegrade
        pricelevel priceclass pricezone pricecategory pricetype pricegroup pricingzone tickettype cat
        kategorie preiskategorie preisgruppe catégorie categorie categoría categoria 등급 좌석등급 등급명 석종 권종
        席種 券種 票种""",
    "floor": "floor level story storey tierlevel deck etage stockwerk étage piso 층 층수 층명 階 楼层",
    "section": """section seatsection block seatblock zone area sec sector sectie stand ticketsection bereich
        sektor rang secteur sección seccion zona bloque
        구역 구역명 구역코드 블록 블럭 블록명 존 ブロック エリア 区域""",
    "row": "row seatrow rowline line reihe rangée rangee fila hilera 열 열명 열번호 좌석열 행 줄 列 排",
    "number": """number no num seat seatno seatnumber seatnum seatnr nr sitz platz sitzplatz platznummer
        sitznummer siège siege place asiento butaca 번호 좌석번호 번 좌석번 席 席番 席番号 座 座位号""",
    "price": """price cost amount facevalue saleprice unitprice ticketprice fee preis prix tarif tarifa precio
        importe 가격 금액 요금 정가 판매가 판매가격 価格 料金 票价 价格""",
    "x": "x posx xpos positionx xposition coordx xcoord xcoordinate left 가로 x좌표",
    "y": "y posy ypos positiony yposition coordy ycoord ycoordinate top 세로 y좌표",
    "count": "count quantity qty seats numberofseats seatcount anzahl cantidad 수량 좌석수 매수 개수",
    "status": """status seatstatus seatstate availability available holdstatus holdtype onsale estado statut
        상태 좌석상태 판매상태 판매여부""",
    "marks": """type seattype seatkind kind attribute attributes feature features accessibility restriction
        restrictions marks 유형 좌석유형 종류 특성 비고""",
    "wheelchair": "wheelchair iswheelchair wheelchairaccessible accessible isaccessible ada handicap 휠체어 휠체어석",
    "companion": "companion iscompanion companionseat iscompanionseat carer escort 동반석 보호자석",
    "restricted_view": """restrictedview hasrestrictedview obstructedview obstructed limitedview partialview
        시야제한 시야제한석 시야방해""",
}
FIELDS = tuple(_WORDS)
_SECOND = {"zone": "grade", "area": "grade", "존": "grade", "zona": "grade", "level": "grade", "class": "section"}
_PARTS = ("seat", "ticket", "venue", "event")  # before a word: `ticket_price`, `venue_section`
_NAMES = (
    "name",
    "label",
    "title",
    "text",
    "code",
    "key",
    "no",
    "num",
    "nr",
    "number",
    "id",
    "명",
    "이름",
    "코드",
    "번호",
)
_FIELD = {word: name for name, words in _WORDS.items() for word in words.split()}
_IN_BRACKETS = re.compile(r"[(（\[].*?[)）\]]")
_NO_LETTER = re.compile(r"[\s_\-.·:#*/'\"]+")
_NAMING = re.compile(rf"(?P<word>.+?)(?P<suffix>{'|'.join(_NAMES)})")


@dataclass(frozen=True, slots=True)
class Heading:
    """`second`: the field that it names if another column names `field`. `rank`: of those for one field, the least."""

    field: str
    second: str
    rank: int


@dataclass(frozen=True, slots=True)
class Columns:
    """The field that each column is taken for, "" for none. `twice`: field, heading that is taken, heading that is not.
    `ignored`: headings that name nothing known.
    """

    fields: tuple[str, ...]
    twice: tuple[tuple[str, str, str], ...] = ()
    ignored: tuple[str, ...] = ()


def heading_of(text: str) -> Heading | None:
    """What a heading names; None for nothing known."""
    if len(text) > HEADING_CHARS_MAX:
        return None
    plain = _NO_LETTER.sub("", _IN_BRACKETS.sub("", unicodedata.normalize("NFKC", text).casefold()))
    candidates = [(plain, 0), *((plain.removeprefix(part), 1) for part in _PARTS if plain.startswith(part))]
    for word, rank in candidates:
        if word in _FIELD:
            return Heading(_FIELD[word], _SECOND.get(word, ""), rank)
    for word, rank in candidates:
        naming = _NAMING.fullmatch(word)
        if naming and naming["word"] in _FIELD:
            named = naming["word"]
            return Heading(_FIELD[named], _SECOND.get(named, ""), rank + 2 + _NAMES.index(naming["suffix"]))
    return None


def columns_of(headings: Sequence[str], filled: Sequence[bool]) -> Columns:
    """What each column is taken for. `filled`: whether it has any values: an empty one gives way."""
    named = [heading_of(text) for text in headings]
    fields = [heading.field if heading else "" for heading in named]
    for at, heading in enumerate(named):
        others = [*fields[:at], *fields[at + 1 :]]
        if heading and heading.second and heading.second not in others and _is_named_otherwise(heading, named):
            fields[at] = heading.second
    taken: dict[str, int] = {}
    for at in sorted(range(len(fields)), key=lambda at: (not filled[at], _rank(named[at]), at)):
        taken.setdefault(fields[at], at)
    twice = [
        (field, headings[taken[field]], headings[at])
        for at, field in enumerate(fields)
        if field and taken[field] != at and filled[at]
    ]
    kept = tuple(field if field and taken[field] == at else "" for at, field in enumerate(fields))
    ignored = tuple(text for text, heading in zip(headings, named, strict=True) if heading is None and text.strip())
    return Columns(kept, tuple(twice), ignored)


def _is_named_otherwise(heading: Heading, named: Sequence[Heading | None]) -> bool:
    """Whether a column of another word names this field: a zone's id is no section beside a zone."""
    return any(each and each.field == heading.field and each.second != heading.second for each in named)


def _rank(heading: Heading | None) -> int:
    return heading.rank if heading else 0
