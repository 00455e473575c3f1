"""When an answer is sent compressed: if it is large enough, and the client accepts gzip."""

from __future__ import annotations

PACKED_FROM_BYTES = 512


def takes_gzip(accept_encoding: str) -> bool:
    """Whether this Accept-Encoding header accepts gzip (RFC 9110, 12.5.3); `q=0` refuses it."""
    weights: dict[str, bool] = {}
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.replace(" ", "").removeprefix("q=").strip("0.") != "" or not weight.strip()
    return weights.get("gzip", weights.get("*", False))
