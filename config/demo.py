"""The demo: four events that show what the shop does, two people to log in as, and what a small shop of its own sells
that stands behind a room.

Pure data, relative to a given moment; app/run/demo.py puts it into the stores once. The passwords are public on
purpose: a real installation starts with TIKETI_DEMO=0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from config.halls import Hall, Stage, Tier, build

ZONE = "Asia/Seoul"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a page says about an event, in one language."""

    title: str
    venue: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a room begins: people let in per second, how many at once, how many inside."""

    rate_per_s: float
    burst: int
    max_active: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEvent:
    """An event and its hall. `prices` (KRW) lists the grades best first; without a `room` it is sold directly.

    `seats_per_buyer`: how many one person may hold and buy in all; None: no limit.
    """

    id: str
    ko: Words
    en: Words
    starts_at: datetime
    sale_opens_at: datetime
    sale_closes_at: datetime
    zone: str
    prices: Mapping[str, int]
    hall: Hall
    room: Pace | None
    seats_per_buyer: int | None = 8

    @property
    def admission(self) -> Literal["room", "open"]:
        return "room" if self.room else "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoAccount:
    """An account with a password that is public on purpose."""

    id: str
    email: str
    password: str
    name: str
    role: Literal["buyer", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What the demo shop sells: its name by language, its price in KRW, and the two colours of its picture."""

    name: Mapping[str, str]
    price: int
    colours: tuple[str, str]


ACCOUNTS = (
    DemoAccount(id="u_demo_admin", email="admin@tiketi.gg", password="admin123", name="운영자", role="admin"),  # noqa: S106 # public
    DemoAccount(id="u_demo_buyer", email="test@tiketi.gg", password="test1234", name="테스트", role="buyer"),  # noqa: S106 # public
)
SHOP = "demo-shop"  # the origin, and its room
SHOP_PACE = Pace(rate_per_s=0.5, burst=1, max_active=5)
PRODUCTS: Mapping[str, Product] = {
    "han": Product(name={"ko": "한강의 밤", "en": "Night on the Han"}, price=32_000, colours=("#1f3a5f", "#f0c987")),
    "rain": Product(name={"ko": "장마", "en": "Monsoon"}, price=29_000, colours=("#2e4a43", "#a8d5ba")),
    "noon": Product(name={"ko": "정오", "en": "Noon"}, price=27_000, colours=("#6b2d2d", "#f2a65a")),
}
DEMO_IDS = frozenset(account.id for account in ACCOUNTS)  # everybody knows their passwords
DEMO_EMAILS = frozenset(account.email for account in ACCOUNTS)


def demo_events(now: datetime) -> list[DemoEvent]:
    """The demo events as seen at `now` (aware): three on sale from this moment on, one opening an hour later."""
    return [_arena(now), _club(now), _riverside(now), _symphony(now)]


def _evening(now: datetime, days: int, hour: int) -> datetime:
    """So many days later, on the hour by the clock on the venue's wall."""
    day = now.astimezone(ZoneInfo(ZONE)) + timedelta(days=days)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)


def _arena(now: datetime) -> DemoEvent:
    starts_at = _evening(now, 30, 19)
    return DemoEvent(
        id="demo",
        ko=Words(
            title="루미나 월드 투어 <별의 항로> 서울",
            venue="한빛 아레나, 서울",
            description="루미나가 3년 만에 서울로 돌아옵니다. 무대를 감싸는 객석에서 130분 동안 이어지는 라이브.",
        ),
        en=Words(
            title="Lumina World Tour: Star Routes, Seoul",
            venue="Hanbit Arena, Seoul",
            description="Lumina is back in Seoul after three years: 130 minutes live, the audience around the stage.",
        ),
        starts_at=starts_at,
        sale_opens_at=now,
        sale_closes_at=starts_at - timedelta(hours=1),
        zone=ZONE,
        prices={"VIP": 165_000, "R": 132_000, "S": 110_000, "A": 88_000},
        hall=build(
            Stage(width=300, depth=110, front=80, thrust=24),
            [
                Tier("VIP", ("F1", "F2", "F3"), rows=10, radius=180, half_angle=48),
                Tier("R", _names(101, 5), rows=9, radius=450, half_angle=60),
                Tier("S", _names(201, 7), rows=10, radius=710, half_angle=64),
                Tier("A", _names(301, 9), rows=9, radius=995, half_angle=66),
            ],
        ),
        room=Pace(rate_per_s=20, burst=20, max_active=400),
    )


def _club(now: datetime) -> DemoEvent:
    starts_at = _evening(now, 14, 20)
    return DemoEvent(
        id="small",
        ko=Words(
            title="지하 1층의 재즈 나이트",
            venue="클럽 고래, 서울 홍대",
            description="120석뿐인 작은 클럽에서 듣는 피아노 트리오. 천천히 줄어드는 줄을 보기에 좋은 공연입니다.",
        ),
        en=Words(
            title="Basement Jazz Night",
            venue="Club Whale, Hongdae, Seoul",
            description="A piano trio in a club of only 120 seats. A good event for watching a slow line.",
        ),
        starts_at=starts_at,
        sale_opens_at=now,
        sale_closes_at=starts_at - timedelta(hours=1),
        zone=ZONE,
        prices={"R": 77_000, "S": 55_000},
        hall=build(
            Stage(width=200, depth=70, front=370),
            [
                Tier("R", ("A", "B"), rows=4, radius=450, half_angle=20, seats_per_row=6),
                Tier("S", ("C", "D"), rows=6, radius=590, half_angle=15.5, seats_per_row=6),
            ],
        ),
        room=Pace(rate_per_s=2, burst=2, max_active=20),
    )


def _riverside(now: datetime) -> DemoEvent:
    starts_at = _evening(now, 21, 18)
    return DemoEvent(
        id="open-air",
        ko=Words(
            title="강변 달빛 콘서트",
            venue="물빛 공원 야외무대, 서울",
            description="강바람을 맞으며 듣는 어쿠스틱 콘서트. 줄 없이 바로 좌석을 고를 수 있습니다.",
        ),
        en=Words(
            title="Moonlight by the River",
            venue="Mulbit Park Open-Air Stage, Seoul",
            description="An acoustic evening in the river breeze. There is no line: choose your seats right away.",
        ),
        starts_at=starts_at,
        sale_opens_at=now,
        sale_closes_at=starts_at - timedelta(hours=1),
        zone=ZONE,
        prices={"R": 66_000, "S": 44_000},
        hall=build(
            Stage(width=260, depth=90, front=120, thrust=12),
            [
                Tier("R", ("A", "B", "C"), rows=10, radius=260, half_angle=50),
                Tier("S", ("D", "E", "F", "G"), rows=10, radius=560, half_angle=50),
            ],
        ),
        room=None,
        seats_per_buyer=None,  # load scripts hold seats by the hundred with one cookie
    )


def _symphony(now: datetime) -> DemoEvent:
    starts_at = _evening(now, 45, 17)
    return DemoEvent(
        id="upcoming",
        ko=Words(
            title="송년 음악회 <겨울 교향곡>",
            venue="누리 콘서트홀, 서울",
            description="한 해를 보내는 저녁, 교향악단과 합창단이 함께합니다. 한 시간 뒤에 판매를 시작합니다.",
        ),
        en=Words(
            title="Winter Symphony: The Year-End Concert",
            venue="Nuri Concert Hall, Seoul",
            description="Orchestra and choir see the year out. The sale opens one hour after the demo was set up.",
        ),
        starts_at=starts_at,
        sale_opens_at=now + timedelta(hours=1),
        sale_closes_at=starts_at - timedelta(hours=1),
        zone=ZONE,
        prices={"VIP": 150_000, "R": 120_000, "S": 80_000},
        hall=build(
            Stage(width=420, depth=120, front=560, thrust=20),
            [
                Tier("VIP", ("A", "B", "C"), rows=7, radius=650, half_angle=24),
                Tier("R", ("D", "E", "F"), rows=8, radius=860, half_angle=24),
                Tier("S", ("G", "H", "I"), rows=6, radius=1105, half_angle=24),
            ],
        ),
        room=Pace(rate_per_s=5, burst=10, max_active=100),
    )


def _names(first: int, count: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(first, first + count))
