"""The patterns that texts in requests must match. What each asks for in words is in app/http/kit/fields.py."""

from __future__ import annotations

ONE_LINE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"  # no control characters, and not blank
MANY_LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
ID = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
CUSTOMER_ID = r"^[A-Za-z0-9]+$"
