"""The table of refusals: for each its status, a sentence that says why, and one that says what to do next.

Endpoints raise `Problem("code", …)`; status and words are written only here. The OpenAPI description and the tests use
the same table. A code is stable, because programs decide by it. Where one code needs several sentences, the further
ones are named `code.variant`. `{names}` in a sentence are filled with the keywords of the Problem. Pages show a refusal
in the reader's language, by the text `kit.error.CODE`, which every code has unless it is `api_only`.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.http.kit.account_refusals import ACCOUNT_REFUSALS
from app.http.kit.admin_refusals import ADMIN_REFUSALS
from app.http.kit.connector_refusals import CONNECTOR_REFUSALS
from app.http.kit.line_refusals import LINE_REFUSALS
from app.http.kit.origin_refusals import ORIGIN_REFUSALS
from app.http.kit.payment_refusals import PAYMENT_REFUSALS
from app.http.kit.refusal import Kind
from app.http.kit.request_refusals import REQUEST_REFUSALS
from app.http.kit.resume_refusals import RESUME_REFUSALS
from app.http.kit.shop_refusals import SHOP_REFUSALS

REFUSALS: Mapping[str, Kind] = {
    **REQUEST_REFUSALS,
    **ACCOUNT_REFUSALS,
    **LINE_REFUSALS,
    **ORIGIN_REFUSALS,
    **CONNECTOR_REFUSALS,
    **SHOP_REFUSALS,
    **PAYMENT_REFUSALS,
    **RESUME_REFUSALS,
    **ADMIN_REFUSALS,
}


def code_of(name: str) -> str:
    """The stable code of a refusal, without the variant."""
    return name.partition(".")[0]
