"""What a buyer would like to buy, said while waiting.

A wish is checked once, at the door; everything behind may rely on its limits.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SEATS_PER_WISH_MAX = 8
GRADES_PER_WISH_MAX = 10

Adjacent = Literal["required", "preferred"] | bool


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`quantity` seats of the first grade in `grades` that has them (empty: any grade).

    `adjacent`: whether they must be side by side, are to be if that is possible (True: the same), or need not be
    (False).
    """

    quantity: Annotated[int, msgspec.Meta(ge=1, le=SEATS_PER_WISH_MAX)]
    grades: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=40)], ...],
        msgspec.Meta(max_length=GRADES_PER_WISH_MAX),
    ] = ()
    adjacent: Adjacent = True

    @property
    def is_required(self) -> bool:
        """No seats are wished for but neighbours."""
        return self.adjacent == "required"


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Wish)


def pack_wish(wish: Wish) -> str:
    """The wish as compact JSON, as it is kept in Redis and sent down the lane."""
    return _encoder.encode(wish).decode()


def unpack_wish(packed: str | bytes) -> Wish:
    return _decoder.decode(packed)
