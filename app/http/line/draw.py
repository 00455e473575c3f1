"""What anybody needs to check the draw of an opening: what was promised before it, and how the order came about."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app.domain.beacon import QUICKNET
from app.domain.line import Opening
from app.http.kit.answers import json_answer
from app.http.kit.api import ApiRoute
from app.http.kit.problems import stores_refused
from app.http.kit.shapes import Shape
from app.http.line.lookup import view_of
from app.http.state import State
from app.ledger import draws
from app.ledger.draws import Draw


class BeaconStage(StrEnum):
    named = "named"
    taken = "taken"
    missed = "missed"


class BeaconShown(Shape, frozen=True, kw_only=True):
    """The round of a public beacon that was named before entries closed, and may be another one until then. `chain`:
    its hash; `at`: when the round is. `taken`: its signature was checked and went into the draw; `missed`: it gave none
    in time, and the draw went on without. In hex."""

    chain: str
    round: int
    at: datetime
    stage: BeaconStage
    signature: str | None
    randomness: str | None


class DrawShown(Shape, frozen=True, kw_only=True):
    """The draw of the line's running epoch, as far as it is. `commitment` is SHA-256 of `seed`, all of them in hex.
    `entries` and `root` are there once entries are closed, `seed`, `people` (entries that were not given up) and
    `drawnAt` after the draw. Entry e is number `after` + e. `beacon` is null without one."""

    room: str
    opening: Opening
    opens_at: datetime
    after: int
    commitment: str | None
    entries: int | None
    root: str | None
    seed: str | None
    people: int | None
    drawn_at: datetime | None
    beacon: BeaconShown | None


async def show(request: Request[State]) -> Response:
    """Public. A cache may keep it for a second."""
    view = await view_of(request.state, request.path_params["event_id"])
    with stores_refused():
        draw = await draws.get(request.state["db"], view.event_id, view.epoch)
    revealed = draw if draw is not None and draw.drawn_at is not None else None
    shown = DrawShown(
        room=view.event_id,
        opening=view.opening,
        opens_at=datetime.fromtimestamp(view.opens_ms / 1000, UTC),
        after=view.opened_after,
        commitment=draw.commitment.hex() if draw else None,
        entries=draw.entries if draw else None,
        root=draw.root.hex() if draw and draw.root else None,
        seed=revealed.seed.hex() if revealed else None,
        people=revealed.people if revealed else None,
        drawn_at=revealed.drawn_at if revealed else None,
        beacon=_beacon(draw) if draw else None,
    )
    return json_answer(msgspec.to_builtins(shown), headers={"cache-control": "public, max-age=1"})


def _beacon(draw: Draw) -> BeaconShown | None:
    if draw.round is None:
        return None
    stage = BeaconStage.named
    if draw.signature is not None:
        stage = BeaconStage.taken if draw.signature else BeaconStage.missed
    return BeaconShown(
        chain=QUICKNET.hash,
        round=draw.round,
        at=datetime.fromtimestamp(QUICKNET.time_ms(draw.round) / 1000, UTC),
        stage=stage,
        signature=draw.signature.hex() if draw.signature else None,
        randomness=draw.randomness.hex() if draw.signature else None,
    )


routes = [
    ApiRoute(
        "GET",
        "/api/queue/{event_id}/draw",
        show,
        summary="The draw of the opening, for whoever checks it: commitment, entries, root, and the seed after it.",
        answers={200: DrawShown},
    ),
]
