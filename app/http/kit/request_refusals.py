"""The part of the table of refusals about what is wrong with a request before its endpoint sees it; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import AGAIN, CORRECT, NEW_FORM, Kind

REQUEST_REFUSALS = {
    "body_incomplete": Kind(400, "The request ended before its body did.", "Send the whole request again.", True),
    "body_too_large": Kind(413, "A request may carry at most {limit} bytes.", "Send less."),
    "body_too_large.file": Kind(413, "A file may have at most {limit} bytes.", "Send a smaller file."),
    "connections_full": Kind(
        429, "As many connections as one address may have are open.", "Use the connections that are open.", True
    ),
    "cookies_needed": Kind(
        403,
        "This browser keeps no cookies for this shop, so it could not keep a place.",
        "Allow cookies and try again.",
    ),
    "cross_site": Kind(403, "This request was sent from another site.", "Send it from a page of this shop."),
    "cross_site.header": Kind(403, "Send the header X-Requested-With: tiketi.", "Send the request with that header."),
    "cross_site.socket": Kind(403, "This connection was opened by another site.", "Open it from a page of this shop."),
    "encoding_unsupported": Kind(
        415, "Send the file as it is: nothing that is packed gets unpacked here.", "Send it unpacked.", True
    ),
    "file_missing": Kind(422, "Choose a file and send it as the form's field `file`.", "Send the form with a file."),
    "form_malformed": Kind(400, "The form cannot be read: {why}.", "Send the form as a browser would encode it."),
    "form_stale": Kind(403, "This form is not from this browser, or from before you logged in or out.", NEW_FORM),
    "form_stale.session": Kind(403, "The session this form was made in has ended.", "Log in and send the form again."),
    "head_too_large": Kind(431, "The request line and the headers may have {limit} bytes.", "Send less.", True),
    "head_too_large.headers": Kind(431, "A request may have {limit} headers.", "Send fewer.", True),
    "host_unknown": Kind(
        421, "This shop is not called {host}.", "Use the address in TIKETI_PUBLIC_URL, or this machine's own.", True
    ),
    "internal_error": Kind(
        500, "Something broke on our side. It was recorded; try again.", "Try again; tell the shop if it stays so."
    ),
    "media_type_unsupported": Kind(
        415, "The file cannot be of type {given!r}. Take one of {kinds}.", "Send the file as one of these types."
    ),
    "method_not_allowed": Kind(405, "Use another method.", "Use one of the methods that the header Allow names."),
    "not_found": Kind(404, "There is nothing at this address.", "Check the address against /api/openapi.json."),
    "not_found.socket": Kind(404, "There is no WebSocket at this address.", "Connect to /ws/seats/EVENT."),
    "payload_invalid": Kind(422, "{why}.", CORRECT),
    "payload_invalid.body": Kind(422, "The request does not fit: {why}.", CORRECT),
    "payload_invalid.cursor": Kind(
        422, "{given!r} is not a cursor that a list of ours ended with.", "Read the list again from its beginning."
    ),
    "payload_invalid.form": Kind(422, "The form does not fit: {why}.", CORRECT),
    "payload_invalid.key": Kind(422, "An Idempotency-Key is 1 to {limit} ASCII characters.", "Send such a key."),
    "payload_invalid.query": Kind(422, "The query does not fit: {why}.", CORRECT),
    "payload_invalid.quantity": Kind(422, "Say how many seats.", "Send the form with a quantity."),
    "payload_malformed": Kind(400, "The request is not JSON: {why}.", "Send a body of JSON in UTF-8.", True),
    "refused": Kind(400, "{why}", "Check the request against /api/openapi.json.", True),
    "request_too_slow": Kind(408, "The request did not come in time.", "Send it again, in one go.", True),
    "server_full": Kind(503, "This server has as many connections as it can serve.", AGAIN, True),
    "store_unavailable": Kind(503, "The shop's database does not answer just now. Nothing was lost; try again.", AGAIN),
    "value_refused": Kind(
        422, "A value is too long, too large or has a character that cannot be kept.", "Shorten it or take it out."
    ),
}
