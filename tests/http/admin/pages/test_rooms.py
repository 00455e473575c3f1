"""What a room's page says of its opening, as the page's script says it too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.http.admin.pages.view import opening_words
from app.http.kit.i18n import TEXTS

NOW = datetime(2026, 5, 1, 11, 0, tzinfo=UTC)
LOBBY = {"state": "lobby", "draw": "ahead", "waiting": 1234, "drawn": 0}
DRAWING = "Nobody more is taken into the draw. The order is being drawn."
LATER = (NOW + timedelta(seconds=185)).isoformat()


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"opensAt": LATER}, "Opens in 3 min 5 s. People in the lobby: 1,234."),
        ({"opensAt": LATER, "state": "scheduled"}, "Opens in 3 min 5 s."),
        ({"opensAt": NOW.isoformat()}, "Opens now. People in the lobby: 1,234."),
        (
            {"opensAt": NOW.isoformat(), "draw": "closed"},
            DRAWING,
        ),
        ({"opensAt": LATER, "state": "open", "draw": "done", "drawn": 1240}, "Drawn at the opening: 1,240."),
        ({"opensAt": LATER, "state": "open", "draw": "done"}, ""),
        ({"opensAt": None}, ""),
    ],
)
def test_an_admin_is_told_how_far_the_opening_is(numbers: dict[str, Any], said: str) -> None:
    assert opening_words(TEXTS["en"], {**LOBBY, **numbers}, NOW) == said
    assert bool(opening_words(TEXTS["ko"], {**LOBBY, **numbers}, NOW)) == bool(said)
