"""A ticket reads back as it was signed, and nothing else reads at all."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.ticket import (
    ACCOUNT_MARK,
    ACCOUNT_PATTERN,
    EVENT_ID_CHARS_MAX,
    HOLDER_BYTES,
    TOKEN_CHARS_MAX,
    BadTicket,
    Ticket,
    TicketSigner,
    holder_bytes,
    holder_text,
    is_account,
)

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
SIGNER = TicketSigner({1: KEY}, 1)
TICKET = Ticket("seoul-jazz", 3, 1_234_567, bytes(range(HOLDER_BYTES)), 1_800_000_000)
TOKEN = SIGNER.sign(TICKET).encode()
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

event_ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=EVENT_ID_CHARS_MAX)
tickets = st.builds(
    Ticket,
    event_ids,
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=HOLDER_BYTES, max_size=HOLDER_BYTES),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)


@given(tickets)
def test_what_was_signed_is_read(ticket: Ticket) -> None:
    token = SIGNER.sign(ticket).encode()
    assert SIGNER.read(token, ticket.event_id) == ticket
    assert len(token) <= TOKEN_CHARS_MAX


@given(tickets, event_ids)
@example(TICKET._replace(event_id="gig"), "gig-2")
@example(TICKET._replace(event_id="gig-2"), "gig")
def test_a_ticket_for_one_event_is_foreign_to_every_other(ticket: Ticket, other: str) -> None:
    if other != ticket.event_id:
        assert SIGNER.read(SIGNER.sign(ticket).encode(), other) is BadTicket.foreign_event


def test_no_single_bit_can_be_changed() -> None:
    for position in range(len(TOKEN) * 8):
        changed = bytearray(TOKEN)
        changed[position // 8] ^= 1 << position % 8
        assert SIGNER.read(bytes(changed), TICKET.event_id) is BadTicket.invalid, position


def test_no_single_character_can_be_another() -> None:
    for position, known in enumerate(TOKEN):
        for character in ALPHABET:
            if character != known:
                changed = TOKEN[:position] + bytes([character]) + TOKEN[position + 1 :]
                assert SIGNER.read(changed, TICKET.event_id) is BadTicket.invalid, (position, chr(character))


def test_no_part_of_a_ticket_is_a_ticket() -> None:
    for length in range(len(TOKEN)):
        assert SIGNER.read(TOKEN[:length], TICKET.event_id) is BadTicket.invalid
        assert SIGNER.read(TOKEN[len(TOKEN) - length :], TICKET.event_id) is BadTicket.invalid


@pytest.mark.parametrize("addition", [b"=", b"==", b"A", b"AAAA", b"\n", b" ", b".", b"\x00"])
@pytest.mark.parametrize("at", [0, 8, len(TOKEN) - 1])
def test_a_ticket_has_one_spelling_only(addition: bytes, at: int) -> None:
    assert SIGNER.read(TOKEN[:at] + addition + TOKEN[at:], TICKET.event_id) is BadTicket.invalid


@pytest.mark.parametrize("addition", [b"=", b"=="])
def test_a_ticket_takes_no_padding(addition: bytes) -> None:
    assert SIGNER.read(TOKEN + addition, TICKET.event_id) is BadTicket.invalid


@given(st.integers(1, EVENT_ID_CHARS_MAX))
def test_a_ticket_is_never_padded_whatever_the_length_of_its_event(length: int) -> None:
    token = SIGNER.sign(TICKET._replace(event_id="e" * length))
    assert "=" not in token
    assert SIGNER.read(token.encode(), "e" * length) == TICKET._replace(event_id="e" * length)


@given(st.binary(max_size=TOKEN_CHARS_MAX + 50))
@example(b"A" * 10_000_000)
@example(b64encode(bytes(48)))
@example(b"")
def test_what_we_never_signed_is_not_a_ticket(token: bytes) -> None:
    assert SIGNER.read(token, TICKET.event_id) is BadTicket.invalid


def test_a_ticket_signed_with_another_key_of_the_same_name_is_forged() -> None:
    forged = TicketSigner({1: OTHER_KEY}, 1).sign(TICKET)
    assert SIGNER.read(forged.encode(), TICKET.event_id) is BadTicket.invalid


def test_a_ticket_whose_key_is_not_known_is_none() -> None:
    unknown = TicketSigner({9: KEY}, 9).sign(TICKET)
    assert SIGNER.read(unknown.encode(), TICKET.event_id) is BadTicket.invalid


def test_after_a_new_key_old_tickets_are_read_and_new_ones_carry_its_name() -> None:
    rotated = TicketSigner({1: KEY, 2: OTHER_KEY}, 2)
    assert rotated.read(TOKEN, TICKET.event_id) == TICKET
    assert rotated.read(rotated.sign(TICKET).encode(), TICKET.event_id) == TICKET
    assert SIGNER.read(rotated.sign(TICKET).encode(), TICKET.event_id) is BadTicket.invalid


@given(st.binary(min_size=HOLDER_BYTES, max_size=HOLDER_BYTES))
def test_a_holder_id_travels_as_text(holder: bytes) -> None:
    assert holder_bytes(holder_text(holder)) == holder


@given(st.text(max_size=30))
@example("A" * 21 + "B")
@example("=" * 22)
@example("é" * 22)
def test_a_holder_id_has_one_spelling_and_anything_else_is_none(text: str) -> None:
    raw = holder_bytes(text)
    assert raw is None or holder_text(raw) == text


@given(st.binary(max_size=HOLDER_BYTES - len(ACCOUNT_MARK)), st.integers(0, 8 * len(ACCOUNT_MARK)))
def test_a_script_knows_an_account_s_holder_by_its_text(rest: bytes, flipped: int) -> None:
    """An id that differs from an account's in any one bit of its beginning is a browser's, for both."""
    mark = int.from_bytes(ACCOUNT_MARK, "big") ^ (1 << flipped >> 1)
    holder = (mark.to_bytes(len(ACCOUNT_MARK), "big") + rest).ljust(HOLDER_BYTES, b"\0")
    assert is_account(holder) == (flipped == 0)
    assert is_account(holder) == (re.match(ACCOUNT_PATTERN, holder_text(holder)) is not None)
