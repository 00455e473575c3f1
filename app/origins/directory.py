"""Every origin and its rooms in the memory of this process, so that a request about one asks no datastore.

Read again when SQL says that something of them has changed, which is asked once a second, and at once in the process
that changed it. Is the database away, what was read last goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from secrets import token_bytes
from typing import Any, TypeVar

import structlog

from app.connect.rules import Rules, RulesError
from app.connections import outlived, running
from app.domain.passing import Mode, PassAlgorithm
from app.domain.targets import DEVELOPMENT
from app.ledger import origin_logos, origins
from app.ledger.database import Database
from app.ledger.origins import Stamps
from app.origins.connector.app_links import AppLinks
from app.origins.connector.queue_ids import QueueIds
from app.origins.connector.tokens import visit_s_of
from app.origins.secrets import NotOurs, Sealer, hash_of
from app.origins.standby import StandbyLines
from app.outages import Outages
from app.room.view import LineView

READ_EVERY_S = 1.0

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownOrigin:
    """An origin as requests need it. `secrets`: the one that signs first, each with the time until which it is good,
    in Unix seconds (None: for good); so are the hashes of its API keys."""

    id: str
    name: str
    hosts: frozenset[str]
    target_url: str
    customer_id: str | None
    look: Mapping[str, Any]
    logo: Mapping[str, Any] | None
    frame_ancestors: tuple[str, ...]
    bind_tokens: bool
    version: int
    secrets: tuple[tuple[str, float | None], ...]
    api_keys: tuple[tuple[bytes, float | None], ...]

    def text_in(self, lang: str) -> str:
        """Its text for its waiting pages, in this language, else in another."""
        texts: Mapping[str, str] = self.look.get("text", {})
        return texts.get(lang) or next(iter(texts.values()), "")

    def secrets_at(self, now_s: float) -> list[str]:
        return [secret for secret, until_s in self.secrets if until_s is None or now_s < until_s]

    def has_key(self, api_key: str, now_s: float) -> bool:
        """Whether this is a key of this origin, compared in constant time."""
        shown = hash_of(api_key)
        good = [key for key, until_s in self.api_keys if until_s is None or now_s < until_s]
        return any([compare_digest(key, shown) for key in good])  # noqa: C419  # all of them, whichever it is


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRoom:
    """A room of an origin as requests need it."""

    id: str
    origin: KnownOrigin
    name: str
    translations: Mapping[str, str]
    mode: Mode
    pass_s: int
    pass_algorithm: PassAlgorithm
    target_url: str
    closes_at: datetime | None
    rules: Rules
    version: int

    @property
    def visit_s(self) -> int:
        """How long a place is held for who was let in: for one who comes back to a connector as long as it may take
        until its cookie begins, and no shorter than such a cookie can be."""
        return self.pass_s if self.origin.customer_id is None else visit_s_of(self.pass_s)

    def name_in(self, lang: str) -> str:
        return self.translations.get(lang, self.name)

    def is_over(self, now: datetime) -> bool:
        return self.closes_at is not None and self.closes_at <= now


class Directory:
    """`rooms` and `origins` by id, `customers` by what connectors call them, in small letters. `queue_ids`: by which
    connectors name visits; `app_links`: by which apps hand a place on. `run` follows; `load` is for whoever has just
    changed something."""

    def __init__(
        self, db: Database, sealer: Sealer, queue_ids: QueueIds, app_links: AppLinks, outages: Outages | None = None
    ) -> None:
        self.rooms: dict[str, KnownRoom] = {}
        self.origins: dict[str, KnownOrigin] = {}
        self.customers: dict[str, KnownOrigin] = {}
        self.logos: dict[str, bytes] = {}  # by name
        self._db = db
        self.sealer = sealer
        self.queue_ids = queue_ids
        self.app_links = app_links
        self._outages = outages or Outages()
        self._stamps: tuple[Stamps, Stamps] | None = None
        self.standby = StandbyLines(time.monotonic)

    async def load(self) -> None:
        """Read what has changed since the last time. Raises StoreError."""
        stamps = await origins.stamps(self._db)  # first: what changes meanwhile is read again next time
        if stamps == self._stamps:
            return
        opened = [self._opened(row) for row in await origins.listed(self._db)]
        known = {each.id: each for each in opened if each is not None}
        rows = [row for row in await self._rooms() if row.origin_id in known]
        rooms = [_known(row, known[row.origin_id], self._rules_of(row)) for row in rows]
        self.customers = {each.customer_id.lower(): each for each in known.values() if each.customer_id}
        self.logos = await self._logos(known)
        self.origins, self.rooms, self._stamps = known, {each.id: each for each in rooms}, stamps

    async def run(self) -> None:
        """Go on reading until cancelled. What could not be read is read later."""
        while True:
            with outlived(self._outages, "origins"):
                await self.load()
            await asyncio.sleep(READ_EVERY_S)

    async def _logos(self, known: Mapping[str, KnownOrigin]) -> dict[str, bytes]:
        """Those that are shown, of which only new ones are read."""
        names = {each.logo["name"] for each in known.values() if each.logo is not None}
        new = await origin_logos.read(self._db, names - self.logos.keys())
        return {name: data for name, data in {**self.logos, **new}.items() if name in names}

    async def _rooms(self) -> list[origins.OriginRoom]:
        return await origins.listed_rooms(self._db)

    def _rules_of(self, row: origins.OriginRoom) -> Rules:
        """Those that were read last, if they are the same: reading the rules of all rooms takes seconds."""
        before = self.rooms.get(row.id)
        if before is not None and before.rules.objects == row.rules:
            return before.rules
        try:
            return Rules(row.rules)
        except RulesError as error:  # stored by a version that read them in another way
            log.error("rules_unreadable", room=row.id, error=str(error))
            return Rules()  # by which every request needs a pass

    def _opened(self, row: origins.Origin) -> KnownOrigin | None:
        """None, and said in the log, for one whose secret cannot be read: nobody gets into its rooms."""
        try:
            secret = self.sealer.open(row.secret, row.id)
            before = None if row.secret_before is None else self.sealer.open(row.secret_before, row.id)
        except NotOurs as error:
            log.error("origin_unreadable", origin=row.id, error=str(error))
            return None
        return KnownOrigin(
            id=row.id,
            name=row.name,
            hosts=frozenset(row.hosts),
            target_url=row.target_url,
            customer_id=row.customer_id,
            look=row.look,
            logo=row.logo,
            frame_ancestors=tuple(row.frame_ancestors),
            bind_tokens=row.bind_tokens,
            version=row.version,
            secrets=((secret, None), *_until(before, row.before_until)),
            api_keys=((row.api_key, None), *_until(row.api_key_before, row.before_until)),
        )


def may_need_proxy(hosts: Iterable[str]) -> bool:
    """Whether a site may be asked about by a proxy that has to be trusted: not while it is on a developer's machine."""
    return not all(host.startswith(DEVELOPMENT) for host in hosts)


def say_if_no_proxy_is_trusted(directory: Directory, trusted_proxies: str) -> None:
    """Warn in the log that the check believes nobody, where sites that a proxy may ask about have rooms."""
    asked_about = sorted({room.origin.id for room in directory.rooms.values() if may_need_proxy(room.origin.hosts)})
    if asked_about and not trusted_proxies:
        log.warning("no_proxy_trusted", origins=asked_about)


@asynccontextmanager
async def known_origins(
    db: Database,
    key: bytes,
    outages: Outages,
    on_change: Callable[[Callable[[LineView], None]], None],
) -> AsyncIterator[Directory]:
    """All of them, from before the block and kept so while it runs. `key` is what secrets are sealed with,
    `on_change` what calls a listener after every change of a line."""
    directory = Directory(db, Sealer(key, token_bytes), QueueIds(key), AppLinks(key, token_bytes), outages)
    on_change(directory.standby.see)
    await directory.load()
    async with running(Directory=directory.run()):
        yield directory


def _until(value: T | None, until: datetime | None) -> tuple[tuple[T, float | None], ...]:
    return () if value is None or until is None else ((value, until.timestamp()),)


def _known(row: origins.OriginRoom, origin: KnownOrigin, rules: Rules) -> KnownRoom:
    return KnownRoom(
        id=row.id,
        origin=origin,
        name=row.name,
        translations=row.translations,
        mode=row.mode,
        pass_s=row.pass_s,
        pass_algorithm=row.pass_algorithm,
        target_url=row.target_url or origin.target_url,
        closes_at=row.closes_at,
        rules=rules,
        version=row.version,
    )
