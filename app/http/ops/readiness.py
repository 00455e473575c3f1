"""Whether a web process is to be sent people, as far as it knows by itself."""

from __future__ import annotations


class Readiness:
    """`leaving`: this process is going to end. `was_ready`: it once had everything that it needs."""

    def __init__(self) -> None:
        self.leaving = False
        self.was_ready = False
