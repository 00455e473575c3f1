"""Tells Tiketi that a visit has ended, so that the next visitor is let in at once and not when the pass runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request

from app.connect.keys import OPENER
from app.connect.passes import Visit

TIMEOUT_S = 3.0
TRIES = 2
ASK_AGAIN_FROM = 500

log = logging.getLogger("tiketi.connect")
Post = Callable[[str, str], None]


def posted(url: str, api_key: str) -> None:
    """Ask for it. Raises OSError, HTTPException."""
    request = Request(url, data=b"", method="POST", headers={"Authorization": f"Bearer {api_key}"})  # noqa: S310
    with OPENER.open(request, timeout=TIMEOUT_S):
        return


class Visits:
    """Of one origin; `url` is Tiketi's address."""

    def __init__(self, url: str, origin: str, api_key: str, post: Post = posted) -> None:
        self._url = f"{url}/api/origins/{quote(origin, safe='')}/visits/"
        self._api_key = api_key
        self._post = post

    def end(self, visit: Visit) -> bool:
        """Whether Tiketi knows now. If not, which is logged, the place is freed when the pass runs out. Blocks."""
        if not self._api_key:
            log.error("A visit ended, and Tiketi was not told: the middleware has no origin or API key.")
            return False
        why = ""
        for _ in range(TRIES):
            try:
                self._post(f"{self._url}{quote(visit.jti, safe='')}/end", self._api_key)
                return True
            except HTTPError as error:
                why = f"the answer is {error.code}"
                if error.code < ASK_AGAIN_FROM:
                    break
            except (OSError, HTTPException) as error:
                why = f"{type(error).__name__}: {error}"
        log.warning("A visit ended, and Tiketi could not be told: %s", why)
        return False
