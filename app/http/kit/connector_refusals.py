"""The part of the table of refusals that the connectors of shops, and who comes by them, meet; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import Kind

NEW_TOKEN = "Open the shop's page again: it gives another token."  # noqa: S105 - a sentence, not a secret

CONNECTOR_REFUSALS = {
    "customer_room_unknown": Kind(
        404,
        "The customer {customer!r} has no room {room_id!r}. Ids of rooms are in small letters.",
        "Let the connector name a room as the waiting room spells it.",
    ),
    "customer_unknown": Kind(
        404,
        "No origin is the customer {customer!r} of a connector.",
        "Let the connector name the customerId that an origin has.",
    ),
    "connector_config_invalid": Kind(
        422, "This is no integration configuration: {why}.", "Send the JSON that the connector loads.", True
    ),
    "enqueue_token_expired": Kind(403, "This enqueue token has expired.", NEW_TOKEN),
    "enqueue_token_elsewhere": Kind(403, "This enqueue token was made for a visitor at another address.", NEW_TOKEN),
    "enqueue_token_foreign": Kind(403, "This enqueue token is for another room or customer.", NEW_TOKEN),
    "enqueue_token_invalid": Kind(403, "This is no enqueue token of the shop's.", NEW_TOKEN),
    "enqueue_token_spent": Kind(403, "This enqueue token was used already.", NEW_TOKEN),
}
