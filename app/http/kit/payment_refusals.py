"""The part of the table of refusals about payments and refunds; see refusals.py."""

from __future__ import annotations

from app.http.kit.refusal import AGAIN, OTHER_SEATS, SHOW_AGAIN, Kind

PAYMENT_REFUSALS = {
    "already_paid": Kind(
        409, "These seats are paid for already. Nothing more was charged.", "Nothing: the seats are yours."
    ),
    "charge_unknown": Kind(
        404, "This payment provider has no such charge.", "Send webhooks to the shop that made the charge.", True
    ),
    "method_unknown": Kind(404, "{given!r} is not a payment method.", "Take one of GET /api/payments/methods.", True),
    "not_paid": Kind(409, "This reservation is {status}: there is nothing to give back.", SHOW_AGAIN),
    "paid_too_late": Kind(
        410, "The hold ended before the money came. Your money {goes}; choose seats again.", OTHER_SEATS
    ),
    "payload_invalid.method": Kind(422, "{given!r} is not a payment method.", "Take one of those the page offers."),
    "payment_declined": Kind(
        402, "The payment was declined. Nothing was charged; pay another way.", "Pay with another method."
    ),
    "payment_given_up": Kind(
        409, "This payment was given up. What was charged goes back; pay again.", "Pay again with a new key."
    ),
    "payment_unclear": Kind(
        504,
        "The payment service has not answered. We are finding out whether it took the money; if your seats are gone by "
        "then it comes back by itself. Ask again: you are charged once.",
        AGAIN,
    ),
    "payment_unreachable": Kind(
        503,
        "The payment service cannot be reached. Nothing was charged. Try again, or pay another way.",
        AGAIN,
    ),
    "payment_under_way": Kind(
        409, "A payment for all of these seats is being checked. Wait for it, or cancel all of them.", SHOW_AGAIN
    ),
    "provider_unknown": Kind(
        404, "There is no payment provider {given!r}.", "Send webhooks to the address of the provider.", True
    ),
    "signature_invalid": Kind(
        401, "The signature is missing, wrong or too old.", "Sign the body again with the shared secret.", True
    ),
    "webhook_not_understood": Kind(
        422, "This webhook is not understood: {why}.", "Send a kind and a format that this shop knows.", True
    ),
    "too_many_payments": Kind(
        409, "Too many attempts to pay for these seats. Cancel them.", "Cancel the reservation and choose seats again."
    ),
}
