"""The security headers of every page.

Pages load only files of their own origin: no inline script or style and nothing from elsewhere. No other site may frame
them, but for the waiting pages of a site that names who may. hot/front.py adds these headers to every HTML answer;
answers of the API get only `nosniff`.
"""

from __future__ import annotations

from collections.abc import Iterable

FRAMED_BY = b"frame-ancestors "
UNFRAMED = FRAMED_BY + b"'none'"


def content_security_policy(
    form_origins: Iterable[str] = (),
    captcha_origins: Iterable[str] = (),
    framed_by: Iterable[str] = (),
    *,
    has_frames: bool = False,
    is_inert: bool = False,
) -> str:
    """`form_origins`: other sites to which a form of the page may lead, such as a payment provider's page.
    `captcha_origins`: those from which a CAPTCHA's script and frame come, and to which they speak. `framed_by`: those
    whose pages may have this one in a frame. `has_frames`: it has pages of ours in frames. `is_inert`: it is looked at
    only, and asks for nothing and sends nothing.
    """
    captcha = [*captcha_origins]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(["script-src 'self'", *captcha]),
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'none'" if is_inert else " ".join(["connect-src 'self'", *captcha]),
            *(["frame-src 'self'"] if has_frames else []),
            *([" ".join(["frame-src", *captcha])] if captcha else []),
            "worker-src 'self'",
            "form-action 'none'" if is_inert else " ".join(["form-action 'self'", *form_origins]),
            "base-uri 'none'",
            " ".join(["frame-ancestors", *(framed_by or ("'none'",))]),
        )
    )


def may_be_framed(policy: bytes) -> bool:
    """Whether a page of this policy is for frames of somebody: X-Frame-Options could not say of whom."""
    return FRAMED_BY in policy and UNFRAMED not in policy


PAGE_HEADERS: dict[str, str] = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: our own forms would then send `Origin: null` and fail the origin check.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
    "Cache-Control": "no-store",  # pages carry one person's place; the back button must ask again
}
