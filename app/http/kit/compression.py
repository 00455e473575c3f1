"""Whether an answer may be sent packed: what is worth packing, and who can unpack it."""

from __future__ import annotations

PACKED_FROM_BYTES = 512


def takes_gzip(accept_encoding: str) -> bool:
    """Whether who sends this Accept-Encoding (RFC 9110, 12.5.3) can read gzip; `q=0` says that it cannot."""
    weights: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.replace(" ", "").removeprefix("q=").strip("0.") != "" or not weight.strip()
    return weights.get("gzip", weights.get("*", False))
