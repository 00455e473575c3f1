"""The security headers of every page.

Pages load only files of their own origin: no inline script or style and nothing from elsewhere. No other site may frame
them. hot/front.py adds these headers to every HTML answer; answers of the API get only `nosniff`.
"""

from __future__ import annotations

from collections.abc import Iterable


def content_security_policy(form_origins: Iterable[str] = (), captcha_origins: Iterable[str] = ()) -> str:
    """`form_origins`: other sites to which a form of the page may lead, such as a payment provider's page.
    `captcha_origins`: those from which a CAPTCHA's script and frame come, and to which they speak.
    """
    captcha = [*captcha_origins]
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(["script-src 'self'", *captcha]),
            "style-src 'self'",
            "img-src 'self'",
            " ".join(["connect-src 'self'", *captcha]),
            *([" ".join(["frame-src", *captcha])] if captcha else []),
            "worker-src 'self'",
            " ".join(["form-action 'self'", *form_origins]),
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


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
